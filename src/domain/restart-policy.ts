/**
 * When is an agent that ended started again, and when does the daemon give up?
 *
 * Everything here is a pure function of what happened, the time and the policy. Words follow Erlang/OTP's supervisor:
 * a *failure* is an end that the policy does not call a success; *intensity* is how many of them are borne.
 */
import { backoffDelayMs, type Backoff } from './backoff.ts';
import { isUnknownExit, type ExitRecord } from './custody.ts';
import { describeMs } from './duration.ts';

export interface RestartPolicy {
  /**
   * - `always`: an end is followed by a restart, whatever the exit code
   * - `on-failure`: a success leaves the agent `completed`
   * - `never`: so does a success; a failure is final
   */
  restart: 'always' | 'on-failure' | 'never';
  /** How many failures are borne before the daemon gives up. */
  intensity: Intensity;
  /** What giving up means. */
  onGiveUp: 'disable' | 'fail-stop';
  /** Consecutive failures at which an incident opens, also without giving up. */
  incidentAt: number;
  backoff: Backoff;
  /** A run of at least this length is stable: it ends the failing episode. Milliseconds. */
  resetAfterMs: number;
  successExitCodes: number[];
}

export type Intensity =
  /** Never give up. */
  | { kind: 'unlimited' }
  /** Give up at the `failures`-th failure within any `withinMs`: the window slides, it does not tumble. */
  | { kind: 'window'; failures: number; withinMs: number }
  /** Give up at the `failures`-th failure without a stable run between them. */
  | { kind: 'consecutive'; failures: number };

/** What the policy remembers between two ends. Plain JSON. */
export interface FailureHistory {
  /** Failures without a stable run between them. */
  consecutive: number;
  /** When failures happened, epoch milliseconds, oldest first; never longer than the window needs. */
  timesMs: number[];
}

export const NO_FAILURES: FailureHistory = { consecutive: 0, timesMs: [] };

export type Judgement =
  /** Ended by an operator, a shutdown, a reboot, or unseen: nobody is to blame, nothing is counted. */
  { kind: 'excused' } | { kind: 'success' } | { kind: 'failure' };

/**
 * Was this end the agent's failure?
 *
 * An end for being unhealthy or over a limit is one, whatever the exit code. Else only an exit of its own doing is judged.
 * One of `successExitCodes` is a success, except under `always` after a run shorter than `resetAfterMs`: a program that is
 * meant to run for ever and leaves at once has failed.
 */
export function judge(policy: RestartPolicy, exit: ExitRecord): Judgement {
  if (exit.cause === 'unhealthy' || exit.cause === 'limit') return { kind: 'failure' };
  if (exit.cause !== 'self' || isUnknownExit(exit)) return { kind: 'excused' };
  if (exit.code === null || !policy.successExitCodes.includes(exit.code)) return { kind: 'failure' };
  const tooShort = policy.restart === 'always' && exit.ran_ms < policy.resetAfterMs;
  return tooShort ? { kind: 'failure' } : { kind: 'success' };
}

/** The history after a run of `ranMs`: a stable run wipes the slate of consecutive failures, not the sliding window. */
export function afterRun(history: FailureHistory, policy: RestartPolicy, ranMs: number): FailureHistory {
  return ranMs >= policy.resetAfterMs ? { ...history, consecutive: 0 } : history;
}

/** The history with one more failure at `nowMs`. */
export function withFailure(history: FailureHistory, policy: RestartPolicy, nowMs: number): FailureHistory {
  const { intensity } = policy;
  const timesMs =
    intensity.kind === 'window'
      ? // A clock set back must not keep failures of "the future" for ever.
        [...history.timesMs.filter((t) => Math.abs(nowMs - t) < intensity.withinMs), nowMs].slice(-intensity.failures)
      : [];
  return { consecutive: history.consecutive + 1, timesMs };
}

export type Decision =
  | { kind: 'restart'; delayMs: number }
  | { kind: 'complete' }
  /** `why` completes the sentence "gave up: ...". */
  | { kind: 'give-up'; then: RestartPolicy['onGiveUp']; why: string };

/**
 * What follows an end that has been judged; for a failure `history` already counts it.
 * An excused end is followed by a restart at once: the agent is to run, and nothing was its fault.
 */
export function decide(
  policy: RestartPolicy,
  judgement: Judgement,
  history: FailureHistory,
  random01: number,
): Decision {
  switch (judgement.kind) {
    case 'excused':
      return { kind: 'restart', delayMs: 0 };
    case 'success':
      if (policy.restart !== 'always') {
        // A critical agent is meant to be there: that it left on good terms does not bring it back.
        return policy.onGiveUp === 'fail-stop'
          ? { kind: 'give-up', then: 'fail-stop', why: 'a critical agent has ended' }
          : { kind: 'complete' };
      }
      return { kind: 'restart', delayMs: backoffDelayMs(policy.backoff, 1, random01) };
    case 'failure': {
      const why = exhausted(policy, history);
      if (why !== undefined) return { kind: 'give-up', then: policy.onGiveUp, why };
      return { kind: 'restart', delayMs: backoffDelayMs(policy.backoff, history.consecutive, random01) };
    }
  }
}

/** Why no more restarts are allowed, or undefined while they are. */
function exhausted(policy: RestartPolicy, history: FailureHistory): string | undefined {
  if (policy.restart === 'never') return 'its restart policy is never';
  const { intensity } = policy;
  switch (intensity.kind) {
    case 'unlimited':
      return undefined;
    case 'window':
      if (history.timesMs.length < intensity.failures) return undefined;
      return `${intensity.failures} failures within ${describeMs(intensity.withinMs)}`;
    case 'consecutive':
      if (history.consecutive < intensity.failures) return undefined;
      return intensity.failures === 1 ? 'the first failure is final' : `${intensity.failures} failures in a row`;
  }
}

/** True at the failure that makes an incident of an episode. */
export function opensIncident(policy: RestartPolicy, history: FailureHistory): boolean {
  return history.consecutive >= policy.incidentAt;
}
