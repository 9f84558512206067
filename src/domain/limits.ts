/**
 * Limits on what the whole process tree of an agent takes, and when one of them is overrun.
 *
 * A limit is overrun when every sample for `forMs` was over it: one sample at or below restarts the count. So a short
 * burst, such as a start, is tolerated.
 */
import { describeMs } from './duration.ts';
import { describeBytes } from './size.ts';

/**
 * - `notify`: people are notified; the agent runs on
 * - `restart`: it is stopped as by an operator, but this counts as a failure; the restart policy says what follows
 * - `stop`: it is stopped for good
 * - `kill`: like `restart`, but with SIGKILL at once: for what must not have time to go on
 */
export type LimitAction = 'notify' | 'restart' | 'stop' | 'kill';

export interface LimitPolicy {
  memoryBytes: number | null;
  /** 100 is one processor. */
  cpuPercent: number | null;
  forMs: number;
  action: LimitAction;
}

export const DEFAULT_LIMIT = { forMs: 10_000, action: 'restart' } as const satisfies Partial<LimitPolicy>;

/** What a process tree takes. */
export interface Resources {
  cpu_percent: number;
  memory_bytes: number;
}

export type LimitedResource = 'memory' | 'cpu';

/** A limit, how far it was overrun, and for how long. */
export interface Overrun {
  resource: LimitedResource;
  /** The last sample: bytes, or percent of a processor. */
  value: number;
  limit: number;
  for_ms: number;
}

/** What is remembered between two samples: since when each resource is over its limit, and what has been reported. */
export interface LimitState {
  overSinceMs: Partial<Record<LimitedResource, number>>;
  /** Resources whose overrun was reported; it is reported again only after they were below. */
  told: LimitedResource[];
}

export const WITHIN_LIMITS: LimitState = { overSinceMs: {}, told: [] };

const RESOURCES = ['memory', 'cpu'] as const;

/**
 * Takes one more sample. Pure.
 *
 * @param nowMs of a clock that only goes forward
 * @returns the overrun to act on, if there is one now
 */
export function sampled(
  policy: LimitPolicy,
  before: LimitState,
  sample: Resources,
  nowMs: number,
): { state: LimitState; overrun: Overrun | null } {
  const state: LimitState = { overSinceMs: {}, told: [...before.told] };
  let overrun: Overrun | null = null;
  for (const resource of RESOURCES) {
    const limit = limitOf(policy, resource);
    const value = resource === 'memory' ? sample.memory_bytes : sample.cpu_percent;
    if (limit === null || value <= limit) {
      state.told = state.told.filter((told) => told !== resource);
      continue;
    }
    const sinceMs = before.overSinceMs[resource] ?? nowMs;
    state.overSinceMs[resource] = sinceMs;
    const forMs = nowMs - sinceMs;
    if (overrun !== null || forMs < policy.forMs || state.told.includes(resource)) continue;
    overrun = { resource, value, limit, for_ms: forMs };
    // People are notified once, not at every sample; an end is asked for until it has come.
    if (policy.action === 'notify') state.told = [...state.told, resource];
  }
  return { state, overrun };
}

const limitOf = (policy: LimitPolicy, resource: LimitedResource): number | null =>
  resource === 'memory' ? policy.memoryBytes : policy.cpuPercent;

/** `memory 300 MiB, over its limit of 256 MiB for 10 s` */
export function describeOverrun({ resource, value, limit, for_ms }: Overrun): string {
  const amount = resource === 'memory' ? describeBytes : describePercent;
  const during = for_ms > 0 ? ` for ${describeMs(for_ms)}` : '';
  return `${resource} ${amount(value)}, over its limit of ${amount(limit)}${during}`;
}

/** What `describeOverrun` has said, wherever it stands in a sentence: `memory 300 MiB` and `256 MiB for 10 s`. */
export function overrunIn(sentence: string): { value: string; limit: string } | undefined {
  const [, value, limit] = /\b((?:memory|cpu) [^,:;]+), over its limit of ([^,:;]+)/.exec(sentence) ?? [];
  return value === undefined || limit === undefined ? undefined : { value, limit };
}

export function describePercent(percent: number): string {
  return `${percent < 10 ? Math.round(percent * 10) / 10 : Math.round(percent)}%`;
}
