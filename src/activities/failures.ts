import { ApplicationFailure } from '@temporalio/activity';
import { codeOf, isFinal } from '../contract/errors.ts';

/**
 * Turns an error of the table into a typed failure: what another try would not change fails at once and ends up in the
 * workflow with its code; everything else is retried by Temporal for as long as it takes.
 */
export function failingClearly<Request, Answer>(
  activity: (request: Request) => Promise<Answer>,
): (request: Request) => Promise<Answer> {
  return async (request) => {
    try {
      return await activity(request);
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      throw ApplicationFailure.create({
        message: (error as Error).message,
        type: code,
        nonRetryable: isFinal(code),
      });
    }
  };
}
