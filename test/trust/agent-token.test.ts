import { describe, expect, it } from 'vitest';
import { issueAgentToken, readAgentToken } from '../../src/trust/agent-token.ts';
import { macOf } from '../../src/trust/mac.ts';

const key = Buffer.alloc(32, 1);
const claims = { agent_id: 'Agent_1', generation: 7, may: { start: ['T1', 'T2'] } };

describe('readAgentToken', () => {
  it('reads what issueAgentToken made', () => {
    const token = issueAgentToken(claims, key);
    expect(token).toMatch(/^osa_[\w-]+\.[\w-]{43}$/);
    expect(readAgentToken(token, key)).toEqual(claims);
  });

  it('refuses a token of another key', () => {
    expect(readAgentToken(issueAgentToken(claims, Buffer.alloc(32, 2)), key)).toBeUndefined();
  });

  it('refuses changed claims', () => {
    const [, mac] = issueAgentToken(claims, key).split('.');
    const body = Buffer.from(JSON.stringify({ a: 'Agent_1', g: 8, m: ['T1', 'T2'] })).toString('base64url');
    expect(readAgentToken(`osa_${body}.${mac}`, key)).toBeUndefined();
  });

  it('refuses a code that was made for another purpose', () => {
    const body = issueAgentToken(claims, key).slice('osa_'.length).split('.')[0] as string;
    expect(readAgentToken(`osa_${body}.${macOf('agent-input/v1', body, key)}`, key)).toBeUndefined();
  });

  it.each([
    '',
    'osa_',
    'osa_.',
    'osa_a',
    'osa_a.b',
    'osa_a.b.c',
    'ost_abc',
    `${issueAgentToken(claims, key)}.x`,
    'osa_\ud800.\0',
  ])('refuses %j', (token) => {
    expect(readAgentToken(token, key)).toBeUndefined();
  });
});
