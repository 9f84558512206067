import type { AgentInput, BackoffInput } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import type { Backoff } from '../domain/backoff.ts';
import type { Dependencies } from '../domain/dependencies.ts';
import { describeMs, parseDurationMs } from '../domain/duration.ts';
import type { RestartPolicy } from '../domain/restart-policy.ts';
import type { StopPolicy } from '../domain/stop-policy.ts';

/** Of an agent, or else of its template. */
export function dependenciesOf(...given: (Pick<AgentInput, 'depends_on'> | null)[]): Dependencies {
  const first = given.find((each) => each?.depends_on !== undefined)?.depends_on ?? {};
  return Array.isArray(first) ? Object.fromEntries(first.map((agentId) => [agentId, 'started'] as const)) : first;
}

type PolicyFields = Pick<AgentInput, 'restart' | 'backoff' | 'reset_after' | 'success_exit_codes' | 'stop'>;

/** The policy of the fault domain, overridden by what the template says, overridden by what the agent says. */
export function restartPolicyOf(base: RestartPolicy, ...overrides: (PolicyFields | null)[]): RestartPolicy {
  return overrides.reduce<RestartPolicy>((policy, own) => {
    if (own === null) return policy;
    return {
      ...policy,
      restart: own.restart ?? policy.restart,
      backoff: backoffOf(policy.backoff, own.backoff),
      resetAfterMs: own.reset_after === undefined ? policy.resetAfterMs : parseDurationMs(own.reset_after),
      successExitCodes: own.success_exit_codes ?? policy.successExitCodes,
    };
  }, base);
}

/** In a run a success ends it, whatever the agent does otherwise; and its failure is the run's, never the daemon's. */
export const policyInRun = (policy: RestartPolicy): RestartPolicy => ({
  ...policy,
  restart: policy.restart === 'always' ? 'on-failure' : policy.restart,
  onGiveUp: 'disable',
});

/** @throws CodedError INVALID_REQUEST if the first delay would be above the longest */
function backoffOf(base: Backoff, own: Partial<BackoffInput> = {}): Backoff {
  const backoff: Backoff = {
    initialMs: own.initial === undefined ? base.initialMs : parseDurationMs(own.initial),
    factor: own.factor ?? base.factor,
    maxMs: own.max === undefined ? base.maxMs : parseDurationMs(own.max),
    jitter: own.jitter ?? base.jitter,
  };
  if (backoff.initialMs <= backoff.maxMs) return backoff;
  const [initial, max] = [describeMs(backoff.initialMs), describeMs(backoff.maxMs)];
  const message = `backoff.initial (${initial}) is longer than backoff.max (${max}); raise backoff.max or lower backoff.initial`;
  throw new CodedError('INVALID_REQUEST', message, { field: 'backoff.initial' });
}

export function stopPolicyOf(base: StopPolicy, ...overrides: (PolicyFields | null)[]): StopPolicy {
  return overrides.reduce<StopPolicy>(
    (policy, own) => ({
      signal: own?.stop?.signal ?? policy.signal,
      graceMs: own?.stop?.grace === undefined ? policy.graceMs : parseDurationMs(own.stop.grace),
    }),
    base,
  );
}
