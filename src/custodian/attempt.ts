import { errnoOf, messageOf } from './logger.ts';
import type { Logger } from './logger.ts';

/**
 * Does what looks at processes, which a machine short of descriptors or memory does not allow. The caller tries again
 * later. Told once when it begins and once when it is over.
 * @returns whether it could be done
 */
export type Attempt = (look: () => void) => boolean;

export function createAttempt(what: string, log: Logger): Attempt {
  let isFailing = false;
  return (look) => {
    try {
      look();
    } catch (error) {
      if (!isFailing) log.error(`${what} failed, trying again`, { errno: errnoOf(error), error: messageOf(error) });
      isFailing = true;
      return false;
    }
    if (isFailing) log.info(`${what} works again`);
    isFailing = false;
    return true;
  };
}
