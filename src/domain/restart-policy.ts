/**
 * When is an agent that has ended started again, and when does the daemon give up?
 *
 * `assess` is the one way in: policy, history, exit and clock go in; what the end was, what is remembered of it and what
 * happens next come out.
 *
 * - An end is *excused* (an operator, the daemon or the machine ended it), a *success* or a *failure*.
 * - Failures without a *stable* run between them are *consecutive*, and make up one failing episode. They delay the next
 *   restart (`backoff.ts`), open an incident, and may exhaust the patience of the `GiveUpRule`.
 * - Giving up disables the agent, or stops the whole daemon if it cannot do without that agent.
 *
 * `always`, `on-failure` and `never` are Erlang/OTP's `permanent`, `transient` and `temporary`, except that a failure under
 * `never` disables the agent. A window of failures is OTP's intensity and period, counted differently: OTP gives up when
 * its intensity is exceeded, we give up AT the last failure. `failures: 4` here is an intensity of 3 there.
 */
import { backoffDelayMs, type Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import { isUnknownExit, type ExitRecord } from './custody.ts';
import { describeMs } from './duration.ts';

/** A fault domain's, where the agent's definition does not say otherwise. Defaults: `fault-domains.ts`. */
export interface RestartPolicy {
  /**
   * - `always`: an end is followed by a restart, whatever the exit code
   * - `on-failure`: a failure is followed by a restart, a success leaves the agent `completed`
   * - `never`: a success leaves the agent `completed`, a failure is final
   */
  restart: 'always' | 'on-failure' | 'never';
  /** How many failures are tolerated: `give_up` in the configuration. This name is in recorded histories, and has to stay. */
  intensity: GiveUpRule;
  /** What giving up means: `then` in the configuration. @default disable */
  onGiveUp: 'disable' | 'fail-stop';
  /** Consecutive failures at which an incident opens, also without giving up: `incident_after`. @default 3 */
  incidentAt: number;
  /** How long to wait before a restart. @default 0.5 s, doubled with every consecutive failure up to 60 s, ±10% */
  backoff: Backoff;
  /** A run of at least this length is stable: `reset_after`. Milliseconds. @default 60_000 */
  resetAfterMs: number;
  /** @default [0] */
  successExitCodes: number[];
}

/** At which failure the daemon gives up. A built-in fault domain has one of each kind: see `fault-domains.ts`. */
export type GiveUpRule =
  /** At none. */
  | { kind: 'unlimited' }
  /** At the `failures`-th within any `withinMs`: the window slides, it does not tumble. */
  | { kind: 'window'; failures: number; withinMs: number }
  /** At the `failures`-th in a row. */
  | { kind: 'consecutive'; failures: number };

/** What is remembered from one end to the next. Plain JSON. */
export interface FailureHistory {
  /** Failures without a stable run between them. */
  consecutive: number;
  /** When failures happened, oldest first; only kept for a `window`, and never longer than that needs. Epoch milliseconds. */
  timesMs: number[];
}

export const NO_FAILURES: FailureHistory = { consecutive: 0, timesMs: [] };

/** What an end was, what is remembered of it, and what happens next. */
export interface Assessment {
  judgement: Judgement;
  /** The history, with this end counted. */
  failures: FailureHistory;
  /** The run was stable: the failing episode before it, if there was one, is over. */
  endsEpisode: boolean;
  /** This failure is the first of an episode. */
  beginsEpisode: boolean;
  /** This failure is one of so many in a row that people should know. */
  opensIncident: boolean;
  next: NextStep;
}

export type Judgement =
  /** Nobody is to blame: nothing is counted, and the agent is started again at once. */
  'excused' | 'success' | 'failure';

export type NextStep =
  | { kind: 'restart'; delayMs: number }
  | { kind: 'complete' }
  /** `why` completes the sentence "gave up: ...". */
  | { kind: 'give-up'; then: RestartPolicy['onGiveUp']; why: string };

/**
 * Assesses the end of a process. Pure.
 *
 * @param before the history, without this end
 * @param isOrderedRestart a restart was ordered before the process ended: the restart holds, and nobody is to blame
 */
export function assess(
  policy: RestartPolicy,
  before: FailureHistory,
  exit: ExitRecord,
  { nowMs, random01 }: Clock,
  isOrderedRestart = false,
): Assessment {
  const judgement = isOrderedRestart ? 'excused' : judge(policy, exit);
  const isStable = exit.ran_ms >= policy.resetAfterMs;
  const rested = isStable ? { ...before, consecutive: 0 } : before;
  const isFailure = judgement === 'failure';
  const failures = isFailure ? withFailure(policy, rested, nowMs) : rested;
  return {
    judgement,
    failures,
    endsEpisode: isStable && before.consecutive > 0,
    beginsEpisode: isFailure && failures.consecutive === 1,
    opensIncident: isFailure && failures.consecutive >= policy.incidentAt,
    next: nextStep(policy, judgement, failures, random01),
  };
}

/**
 * Was this end the agent's own doing, and was it a success?
 *
 * - Stopped as unhealthy or over a limit: a failure, whatever the exit code.
 * - Stopped for any other reason, or ended while nobody saw it: excused.
 * - Killed by a signal, or left with a code other than `successExitCodes`: a failure.
 * - Left with one of them: a success; but a failure under `always` if the run was not stable, since a program that is meant
 *   to run for ever has failed if it leaves at once.
 */
export function judge(policy: RestartPolicy, exit: ExitRecord): Judgement {
  if (exit.cause === 'unhealthy' || exit.cause === 'limit') return 'failure';
  if (exit.cause !== 'self' || isUnknownExit(exit)) return 'excused';
  if (exit.code === null || !policy.successExitCodes.includes(exit.code)) return 'failure';
  return policy.restart === 'always' && exit.ran_ms < policy.resetAfterMs ? 'failure' : 'success';
}

/** The history with one more failure. */
function withFailure({ intensity: rule }: RestartPolicy, history: FailureHistory, nowMs: number): FailureHistory {
  const consecutive = history.consecutive + 1;
  if (rule.kind !== 'window') return { consecutive, timesMs: [] };
  // A clock that was set back must not keep failures of "the future" for ever.
  const recent = history.timesMs.filter((timeMs) => Math.abs(nowMs - timeMs) < rule.withinMs);
  return { consecutive, timesMs: [...recent, nowMs].slice(-rule.failures) };
}

/** @param failures with this end counted */
function nextStep(policy: RestartPolicy, judgement: Judgement, failures: FailureHistory, random01: number): NextStep {
  switch (judgement) {
    case 'excused':
      return { kind: 'restart', delayMs: 0 };
    case 'success':
      if (policy.restart === 'always') return { kind: 'restart', delayMs: backoffDelayMs(policy.backoff, 1, random01) };
      // An agent that the daemon cannot do without is meant to be there: that it left on good terms does not bring it back.
      if (policy.onGiveUp === 'fail-stop')
        return { kind: 'give-up', then: 'fail-stop', why: 'a critical agent has ended' };
      return { kind: 'complete' };
    case 'failure': {
      const why = reasonToGiveUp(policy, failures);
      if (why !== undefined) return { kind: 'give-up', then: policy.onGiveUp, why };
      return { kind: 'restart', delayMs: backoffDelayMs(policy.backoff, failures.consecutive, random01) };
    }
  }
}

/** Undefined while restarts are allowed. */
function reasonToGiveUp({ restart, intensity: rule }: RestartPolicy, failures: FailureHistory): string | undefined {
  if (restart === 'never') return 'its restart policy is never';
  switch (rule.kind) {
    case 'unlimited':
      return undefined;
    case 'window':
      if (failures.timesMs.length < rule.failures) return undefined;
      return `${rule.failures} failures within ${describeMs(rule.withinMs)}`;
    case 'consecutive':
      if (failures.consecutive < rule.failures) return undefined;
      return rule.failures === 1 ? 'the first failure is final' : `${rule.failures} failures in a row`;
  }
}
