import { parseDurationMs } from '../domain/duration.ts';
import { BUILT_IN_FAULT_DOMAINS, type BuiltInFaultDomain } from '../domain/fault-domains.ts';
import type { GiveUpRule, RestartPolicy } from '../domain/restart-policy.ts';
import { restartPolicyOf } from '../schema/policies.ts';
import type { ConfigFile, FaultDomainSettings } from './config-schema.ts';

/**
 * All fault domains: the built-in ones with `defaults` applied, then what the file declares on top of the domain that
 * it names as `base` (itself for a built-in one, else `default`).
 *
 * @param at runs what may fail for the setting at this path
 */
export function faultDomainsOf(
  file: ConfigFile,
  at: <T>(path: string[], work: () => T) => T,
): Record<string, RestartPolicy> {
  const { backoff, reset_after } = file.defaults ?? {};
  const general = { ...(backoff && { backoff }), ...(reset_after !== undefined && { reset_after }) };
  const builtIn = (name: BuiltInFaultDomain): RestartPolicy =>
    at(['defaults'], () => restartPolicyOf(BUILT_IN_FAULT_DOMAINS[name], general));
  const names = Object.keys(BUILT_IN_FAULT_DOMAINS) as BuiltInFaultDomain[];
  const domains: [string, RestartPolicy][] = names.map((name) => [name, builtIn(name)]);
  for (const [name, own] of Object.entries(file.fault_domains ?? {})) {
    const base = own.base ?? names.find((known) => known === name) ?? 'default';
    domains.push([name, at(['fault_domains', name], () => declared(builtIn(base), own))]);
  }
  return Object.fromEntries(domains);
}

function declared(base: RestartPolicy, own: FaultDomainSettings): RestartPolicy {
  return {
    ...restartPolicyOf(base, own),
    intensity: own.give_up === undefined ? base.intensity : giveUpRuleOf(own.give_up),
    onGiveUp: own.then === undefined ? base.onGiveUp : own.then === 'fail_stop' ? 'fail-stop' : 'disable',
    incidentAt: own.incident_after ?? base.incidentAt,
  };
}

function giveUpRuleOf(giveUp: NonNullable<FaultDomainSettings['give_up']>): GiveUpRule {
  if (giveUp === 'never') return { kind: 'unlimited' };
  if ('consecutive' in giveUp) return { kind: 'consecutive', failures: giveUp.consecutive };
  return { kind: 'window', failures: giveUp.failures, withinMs: parseDurationMs(giveUp.within) };
}
