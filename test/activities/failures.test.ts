import { ApplicationFailure } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import { failingClearly } from '../../src/activities/failures.ts';
import { CodedError, ERRORS, type ErrorCode } from '../../src/contract/errors.ts';

const failureOf = async (code: ErrorCode): Promise<unknown> =>
  failingClearly(() => Promise.reject(new CodedError(code, 'so')))(undefined).catch((error: unknown) => error);

describe('failingClearly', () => {
  it.each(['SPAWN_FAILED', 'TEMPLATE_NOT_FOUND', 'UNSIGNED_FIELD'] as const)(
    'lets %s, which is the fault of the description, be final',
    async (code) => {
      expect(await failureOf(code)).toMatchObject({ type: code, nonRetryable: true });
    },
  );

  // A roster that cannot be written, after the spawn: a final failure would give up an agent whose process lives.
  it.each((Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].status >= 500))(
    'lets %s, which is our own trouble, be tried again',
    async (code) => {
      const failure = await failureOf(code);
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: code, nonRetryable: false });
    },
  );

  it('passes on what has no code', async () => {
    const error = new Error('so');
    await expect(failingClearly(() => Promise.reject(error))(undefined)).rejects.toBe(error);
  });
});
