/** What an agent's life says of its trouble: the value that was seen, its limit, what was tried, what is needed. */
import type { ExitRecord } from '../custody.ts';
import { overrunIn } from '../limits.ts';
import { describeMs } from '../duration.ts';
import type { FailureHistory, RestartPolicy } from '../restart-policy.ts';
import type { Report } from './incident-state.ts';

export type Trouble = Pick<Report, 'kind' | 'severity' | 'value' | 'threshold' | 'tried' | 'needed' | 'stableMs'>;

const BY_HAND = 'manual work needed: find the cause, then start it again';

/** Failures in a row: it goes on being restarted. */
export function failuresTrouble(
  policy: RestartPolicy,
  failures: FailureHistory,
  restarts: number,
  exit: ExitRecord,
): Trouble {
  return {
    kind: 'failures',
    severity: 'warning',
    ...seen(exit, `${failures.consecutive} failures in a row`, String(policy.incidentAt)),
    tried: tried(restarts - 1),
    needed: 'somebody should look into it; it goes on being restarted',
    stableMs: policy.resetAfterMs,
  };
}

/** The daemon gave up. */
export function givenUpTrouble(
  policy: RestartPolicy,
  failures: FailureHistory,
  restarts: number,
  exit: ExitRecord,
): Trouble {
  const { intensity, restart } = policy;
  const isBorne = restart !== 'never' && intensity.kind !== 'unlimited';
  const [value, limit] = isBorne
    ? intensity.kind === 'window'
      ? [`${failures.timesMs.length} failures within ${describeMs(intensity.withinMs)}`, String(intensity.failures)]
      : [count(failures.consecutive), String(intensity.failures)]
    : [exit.code === 0 ? '1 end' : '1 failure', '0'];
  return { ...end(policy), ...seen(exit, value, limit), tried: tried(restarts), stableMs: null };
}

/** The agent cannot be started at all. */
export function unstartableTrouble(policy: RestartPolicy | undefined, message: string): Trouble {
  const { kind, severity } = end(policy);
  const needed = 'manual work needed: correct its definition, then start it again';
  return { kind, severity, value: message, threshold: null, tried: tried(0), needed, stableMs: null };
}

/** The agent was over a limit whose overrun does not count as a failure. */
export function limitTrouble(summary: string, isStopped: boolean): Trouble {
  const overrun = overrunIn(summary);
  return {
    kind: 'limit',
    severity: 'warning',
    value: overrun?.value ?? summary,
    threshold: overrun?.limit ?? null,
    tried: isStopped ? 'it was stopped for good' : 'nothing was tried: it runs on (action notify)',
    needed: isStopped
      ? 'manual work needed: raise the limit or mend the agent, then start it again'
      : 'somebody should look into it',
    stableMs: null,
  };
}

/** While failures go on, people are told again each time their number has doubled: 3, 6, 12, … */
export function isWorthTelling({ incidentAt }: RestartPolicy, { consecutive }: FailureHistory): boolean {
  const times = consecutive / incidentAt;
  return Number.isInteger(times) && Number.isInteger(Math.log2(times));
}

function end(policy: RestartPolicy | undefined): Pick<Trouble, 'kind' | 'severity' | 'needed'> {
  if (policy?.onGiveUp !== 'fail-stop') return { kind: 'give_up', severity: 'critical', needed: BY_HAND };
  const needed = 'manual work needed: find the cause, then openstarry-daemon start --clear-failstop';
  return { kind: 'fail_stop', severity: 'critical', needed };
}

/** Over a limit, that is what was seen; else how often it has failed. */
function seen(exit: ExitRecord, value: string, threshold: string): Pick<Trouble, 'value' | 'threshold'> {
  const overrun = exit.cause === 'limit' ? overrunIn(exit.why ?? '') : undefined;
  return overrun === undefined ? { value, threshold } : { value: overrun.value, threshold: overrun.limit };
}

function tried(restarts: number): string {
  if (restarts < 1) return 'AutoHeal tried: nothing, it is not restarted';
  return `AutoHeal tried: ${restarts === 1 ? '1 restart' : `${restarts} restarts`}, failed`;
}

const count = (failures: number): string => (failures === 1 ? '1 failure' : `${failures} failures in a row`);
