import { describe, expect, it } from 'vitest';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import { signInput, verifyInput } from '../../src/trust/signature.ts';

const key = Buffer.alloc(32, 1);
const input: AgentInput = { agent_id: 'a', command: ['true'], env: { B: '2', A: '1' } };

describe('signInput', () => {
  it('makes what verifyInput accepts, also after JSON and with keys in another order', () => {
    const signed = signInput(input, key);
    expect(verifyInput(signed, key)).toBe('signed');
    const shuffled = Object.fromEntries(Object.entries(signed).toReversed()) as unknown as AgentInput;
    expect(verifyInput(JSON.parse(JSON.stringify(shuffled)) as AgentInput, key)).toBe('signed');
    expect(signed.signature).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it('replaces a signature that is there, and does not change its argument', () => {
    const forged = { ...input, signature: 'forged' };
    expect(signInput(forged, key)).toEqual(signInput(input, key));
    expect(forged.signature).toBe('forged');
  });
});

describe('verifyInput', () => {
  it('lets an unsigned input with harmless fields pass', () => {
    const harmless = {
      agent_id: 'a',
      template_id: 'T',
      variables: { x: 1 },
      labels: {},
      task: 't',
      fault_domain: 'data',
    };
    expect(verifyInput(harmless, key)).toBe('unsigned-allowed');
    expect(verifyInput({ ...harmless, command: undefined } as unknown as AgentInput, key)).toBe('unsigned-allowed');
  });

  it.each(['command', 'env', 'env_file', 'cwd', 'stdin', 'restart', 'stop', 'may', 'origin', 'created_by', 'restore'])(
    'refuses an unsigned "%s" with UNSIGNED_FIELD, naming it',
    (field) => {
      const unsigned = { agent_id: 'a', [field]: {} } as unknown as AgentInput;
      expect(() => verifyInput(unsigned, key)).toThrow(
        expect.objectContaining({
          code: 'UNSIGNED_FIELD',
          details: { field },
          message: expect.stringContaining(`"${field}"`),
        }),
      );
    },
  );

  it.each([
    ['a changed field', { ...signInput(input, key), command: ['false'] }],
    ['an added field', { ...signInput(input, key), cwd: '/' }],
    ['another agent', { ...signInput(input, key), agent_id: 'b' }],
    ['an empty signature', { ...input, signature: '' }],
    ['a signature that is no text', { ...input, signature: 7 as unknown as string }],
    ['another key', signInput(input, Buffer.alloc(32, 2))],
  ])('refuses %s with BAD_SIGNATURE', (_, forged) => {
    expect(() => verifyInput(forged, key)).toThrow(expect.objectContaining({ code: 'BAD_SIGNATURE' }));
  });

  it('refuses a removed field with BAD_SIGNATURE', () => {
    const { command: _, ...rest } = signInput(input, key);
    expect(() => verifyInput(rest, key)).toThrow(expect.objectContaining({ code: 'BAD_SIGNATURE' }));
  });
});
