/**
 * Is an agent healthy? The words and defaults are those of Kubernetes.
 *
 * - `startup`: until it has succeeded, the other two are not run. Failing ends the process.
 * - `readiness`: whether it can do its work now. Failing only shows: it is `unready`.
 * - `liveness`: whether it is worth keeping. Failing ends the process, which counts as a failure of the agent.
 *
 * Pure: what was seen and the time go in, what holds now comes out.
 */
import { describeMs } from './duration.ts';

export type Probe = 'startup' | 'readiness' | 'liveness';

export type ProbeCheck =
  /** 200 to 399 is a success. */
  | { kind: 'http'; url: string }
  /** A connection that is accepted is one. */
  | { kind: 'tcp'; host: string; port: number }
  /** Exit code 0 is one. Runs in the folder and with the environment of the agent. */
  | { kind: 'exec'; command: string[] };

export interface ProbePolicy {
  check: ProbeCheck;
  /** From the start of the process to the first check. */
  initialDelayMs: number;
  periodMs: number;
  timeoutMs: number;
  /** How many failures in a row turn a success into a failure. */
  failureThreshold: number;
  /** How many successes in a row turn a failure into a success. */
  successThreshold: number;
}

export const DEFAULT_PROBE = {
  initialDelayMs: 0,
  periodMs: 10_000,
  timeoutMs: 1_000,
  failureThreshold: 3,
  successThreshold: 1,
} as const satisfies Partial<ProbePolicy>;

export interface HealthPolicy {
  startup: ProbePolicy | null;
  readiness: ProbePolicy | null;
  liveness:
    | ({ kind: 'probe' } & ProbePolicy)
    /** The agent itself reports that it lives, at least once in every `periodMs`. */
    | { kind: 'heartbeat'; periodMs: number; initialDelayMs: number }
    | null;
}

export type ProbeResult = { ok: true } | { ok: false; why: string };

/** One probe of one process, between two results. */
export interface ProbeState {
  /** What holds: null until a threshold has been reached. */
  passing: boolean | null;
  /** Equal results in a row. */
  row: { ok: boolean; count: number };
  /** Why it failed last. */
  why: string;
}

export const UNPROBED: ProbeState = { passing: null, row: { ok: true, count: 0 }, why: '' };

export function probed(
  policy: Pick<ProbePolicy, 'failureThreshold' | 'successThreshold'>,
  state: ProbeState,
  result: ProbeResult,
): ProbeState {
  const count = state.row.ok === result.ok ? state.row.count + 1 : 1;
  const threshold = result.ok ? policy.successThreshold : policy.failureThreshold;
  return {
    passing: count >= threshold ? result.ok : state.passing,
    row: { ok: result.ok, count },
    why: result.ok ? state.why : result.why,
  };
}

/** All that is known of the health of one process. Times are of a clock that only goes forward. */
export interface HealthState {
  startup: ProbeState;
  readiness: ProbeState;
  liveness: ProbeState;
  /** Since when a heartbeat is waited for: the start, the end of the startup, the last beat, a resume. */
  silentSinceMs: number;
  /** Whether any beat has come. */
  hasBeaten: boolean;
}

/** @param wasReady an earlier daemon found the process ready: that holds until it is found otherwise */
export function newHealth(nowMs: number, wasReady = false): HealthState {
  const passed: ProbeState = { ...UNPROBED, passing: true };
  const first = wasReady ? passed : UNPROBED;
  return { startup: first, readiness: first, liveness: UNPROBED, silentSinceMs: nowMs, hasBeaten: false };
}

export type HealthEvent =
  | { kind: 'result'; probe: Probe; result: ProbeResult }
  | { kind: 'beat' }
  | { kind: 'continued' };

export function healthStep(policy: HealthPolicy, state: HealthState, event: HealthEvent, nowMs: number): HealthState {
  switch (event.kind) {
    case 'beat':
      return { ...state, silentSinceMs: nowMs, hasBeaten: true };
    case 'continued': // nothing could be heard while it stood still, and nothing counts that was seen right before
      return { ...state, silentSinceMs: nowMs, liveness: UNPROBED, startup: anew(state.startup) };
    case 'result': {
      const probe = probeOf(policy, event.probe);
      if (probe === null) return state;
      const seen = probed(probe, state[event.probe], event.result);
      // A process that has never been ready is still starting, however often the check has failed.
      const isStill = event.probe === 'readiness' && state.readiness.passing === null && !event.result.ok;
      const next = { ...state, [event.probe]: isStill ? { ...seen, passing: null } : seen };
      const isUp = event.probe === 'startup' && next.startup.passing === true && state.startup.passing !== true;
      return isUp && !state.hasBeaten ? { ...next, silentSinceMs: nowMs } : next;
    }
  }
}

const anew = (state: ProbeState): ProbeState => (state.passing === true ? state : UNPROBED);

export function probeOf(policy: HealthPolicy, probe: Probe): ProbePolicy | null {
  if (probe !== 'liveness') return policy[probe];
  return policy.liveness?.kind === 'probe' ? policy.liveness : null;
}

/** Probes that are to be run now: the startup alone, until it has succeeded. */
export function probesToAsk(policy: HealthPolicy, state: HealthState): Probe[] {
  if (isStarting(policy, state)) return ['startup'];
  return (['readiness', 'liveness'] as const).filter((probe) => probeOf(policy, probe) !== null);
}

const isStarting = (policy: HealthPolicy, state: HealthState): boolean =>
  policy.startup !== null && state.startup.passing !== true;

/** When the silence of an agent that owes heartbeats becomes a failure; null if it owes none now. */
export function silenceEndsMs(policy: HealthPolicy, state: HealthState): number | null {
  const { liveness } = policy;
  if (liveness?.kind !== 'heartbeat' || isStarting(policy, state)) return null;
  const graceMs = state.hasBeaten ? 0 : liveness.initialDelayMs;
  return state.silentSinceMs + graceMs + liveness.periodMs;
}

export interface HealthFinding {
  /** `starting` until it has first been found ready. */
  health: 'starting' | 'healthy' | 'unhealthy';
  ready: boolean;
  /** What is wrong, as a sentence for people; empty if nothing is. */
  reason: string;
  /** Set if the process is to be ended. */
  unhealthy: { probe: Probe; why: string } | null;
}

export const HEALTHY: HealthFinding = { health: 'healthy', ready: true, reason: '', unhealthy: null };

export function findHealth(policy: HealthPolicy, state: HealthState, nowMs: number): HealthFinding {
  const unhealthy = failureOf(policy, state, nowMs);
  if (unhealthy !== null) {
    return {
      health: 'unhealthy',
      ready: false,
      reason: `the ${unhealthy.probe} check failed: ${unhealthy.why}`,
      unhealthy,
    };
  }
  if (isStarting(policy, state)) return waiting('startup', state.startup);
  if (policy.readiness === null || state.readiness.passing === true) return HEALTHY;
  if (state.readiness.passing === null) return waiting('readiness', state.readiness);
  return { health: 'unhealthy', ready: false, reason: `not ready: ${state.readiness.why}`, unhealthy: null };
}

function waiting(probe: Probe, state: ProbeState): HealthFinding {
  const so = state.why === '' ? '' : `: ${state.why}`;
  return {
    health: 'starting',
    ready: false,
    reason: `waiting for its ${probe} check to succeed${so}`,
    unhealthy: null,
  };
}

function failureOf(policy: HealthPolicy, state: HealthState, nowMs: number): HealthFinding['unhealthy'] {
  for (const probe of ['startup', 'liveness'] as const) {
    const isAsked = probe === 'startup' ? isStarting(policy, state) : probeOf(policy, probe) !== null;
    const { passing, row, why } = state[probe];
    if (isAsked && passing === false) return { probe, why: `${why} (${row.count} in a row)` };
  }
  const endsMs = silenceEndsMs(policy, state);
  if (endsMs === null || nowMs < endsMs || policy.liveness?.kind !== 'heartbeat') return null;
  const seen = state.hasBeaten ? 'no heartbeat for' : 'no first heartbeat within';
  return { probe: 'liveness', why: `${seen} ${describeMs(nowMs - state.silentSinceMs)}` };
}
