import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CodedError, codeOf, ERRORS, isErrorCode } from '../../src/contract/errors.ts';

const PAGE = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const ROW = /^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| (yes|no) \| (.+) \|$/gm;
const documented = new Map(
  [...PAGE.matchAll(ROW)].map(([, code, status, exit, again, remedy]) => [
    code as string,
    { status: Number(status), exit: Number(exit), retryable: again === 'yes', remedy: remedy?.replaceAll('\\<', '<') },
  ]),
);
const EXITS = new Set([...PAGE.matchAll(/^\| (\d+) \| /gm)].map(([, exit]) => Number(exit)));

describe('ERRORS', () => {
  it.each(Object.entries(ERRORS))('documents %s in docs/errors.md as it is', (code, kind) => {
    expect(documented.get(code)).toEqual(kind);
  });

  it('documents no code that does not exist, and none twice', () => {
    expect([...documented.keys()].filter((code) => !isErrorCode(code))).toEqual([]);
    expect([...PAGE.matchAll(ROW)]).toHaveLength(Object.keys(ERRORS).length);
  });

  it('documents every exit code', () => {
    for (const { exit } of Object.values(ERRORS)) expect(EXITS).toContain(exit);
  });

  it.each(Object.entries(ERRORS))(
    'gives %s a remedy that is a sentence without its period, and fitting numbers',
    (_, kind) => {
      expect(kind.remedy).toMatch(/^[A-Z].*[^.]$/);
      expect(kind.status).toBeGreaterThanOrEqual(400);
      expect(kind.status).toBeLessThan(600);
      expect(kind.exit).toBeGreaterThan(0);
      if (kind.retryable) expect([429, 503, 507]).toContain(kind.status);
    },
  );
});

describe('CodedError', () => {
  it('carries code, details, remedy and cause', () => {
    const cause = new Error('why');
    const error = new CodedError('AGENT_NOT_FOUND', 'There is no agent "x"', { agent_id: 'x' }, cause);
    expect(error).toMatchObject({
      code: 'AGENT_NOT_FOUND',
      details: { agent_id: 'x' },
      cause,
      remedy: ERRORS.AGENT_NOT_FOUND.remedy,
    });
    expect('cause' in new CodedError('INTERNAL', 'x')).toBe(false);
  });
});

describe('codeOf', () => {
  it.each([[null], [undefined], ['INTERNAL'], [{ code: 'ENOENT' }], [{ code: 'toString' }], [new Error('x')]])(
    'finds no code in %j',
    (error) => {
      expect(codeOf(error)).toBeUndefined();
    },
  );

  it('finds the code of whatever carries one', () => {
    expect(codeOf({ code: 'RATE_LIMITED' })).toBe('RATE_LIMITED');
  });
});
