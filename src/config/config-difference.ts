import type { AgentInput } from '../contract/agent-input.ts';
import type { ChangedSetting } from '../contract/reload-view.ts';
import { canonicalJson } from '../trust/canonical-json.ts';
import type { LoadedConfig } from './config.ts';

/** What the daemon adds to an input on its way: no part of what somebody wrote. */
const ADDED_BY_US: ReadonlySet<string> = new Set(['signature', 'restore', 'request_id', 'created_by', 'run']);

/**
 * The names of the fields in which two descriptions of an agent differ, in order: `command`, or `env.NAME` and
 * `stop.grace` where only a member does. Never a value: it may be a secret.
 */
export function differingFields(known: AgentInput, given: AgentInput): string[] {
  return differing({ ...known }, { ...given }, '').filter((name) => !ADDED_BY_US.has(name.split('.')[0] as string));
}

function differing(known: Record<string, unknown>, given: Record<string, unknown>, prefix: string): string[] {
  const names = [...new Set([...Object.keys(known), ...Object.keys(given)])].toSorted((a, b) => (a < b ? -1 : 1));
  return names.flatMap((name) => {
    const [before, after] = [known[name], given[name]];
    if (isSame(before, after)) return [];
    const deeper = prefix === '' && isMapping(before) && isMapping(after);
    return deeper ? differing(before, after, `${name}.`) : [`${prefix}${name}`];
  });
}

/** The settings of the daemon that differ, and from when on the new ones count. */
export function differingSettings(known: LoadedConfig, given: LoadedConfig): ChangedSetting[] {
  const domains = Object.keys({ ...known.faultDomains, ...given.faultDomains });
  const queues = Object.keys({ ...known.messaging.queues, ...given.messaging.queues });
  const now: [setting: string, before: unknown, after: unknown][] = [
    ['master', known.master, given.master],
    ['chief', known.chief, given.chief],
    ['design_layer', known.designLayer, given.designLayer],
    ...domains.map((name): [string, unknown, unknown] => [
      `fault_domains.${name}`,
      known.faultDomains[name],
      given.faultDomains[name],
    ]),
    ...queues.map((name): [string, unknown, unknown] => [
      `queues.${name}`,
      known.messaging.queues[name],
      given.messaging.queues[name],
    ]),
    ['messages.types', known.messaging.types, given.messaging.types],
    ['escalation', known.escalation, given.escalation],
    ['defaults.stop', known.defaults.stop, given.defaults.stop],
    ['logs.min_free', known.logs.minFreeBytes, given.logs.minFreeBytes],
    ['temporal.require_signed', known.temporal.requireSigned, given.temporal.requireSigned],
  ];
  const later: typeof now = [
    ...(['api', 'health', 'metrics', 'temporal', 'ui'] as const).map((name): [string, unknown, unknown] => [
      `ports.${name}`,
      known.ports[name],
      given.ports[name],
    ]),
    ['messages', generalOf(known), generalOf(given)],
    ['state', known.messaging.limitBytes.state, given.messaging.limitBytes.state],
    ['topics', known.messaging.topics, given.messaging.topics],
    ['plugins.bus', known.plugins.bus, given.plugins.bus],
    ['plugins.state', known.plugins.state, given.plugins.state],
    ['temporal.address', known.temporal.address, given.temporal.address],
    ['temporal.namespace', known.temporal.namespace, given.temporal.namespace],
    ['temporal.tls', known.temporal.tls, given.temporal.tls],
    ['temporal.api_key', known.temporal.apiKey, given.temporal.apiKey],
  ];
  const others = (pairs: typeof now, takes_effect: ChangedSetting['takes_effect']): ChangedSetting[] =>
    pairs.filter(([, before, after]) => !isSame(before, after)).map(([setting]) => ({ setting, takes_effect }));
  return [...others(now, 'now'), ...others(later, 'at the next start')];
}

/** What a bus is opened with. */
const generalOf = ({ messaging: { defaults, ageingMs, deadLettersKeptMs, limitBytes } }: LoadedConfig): unknown => ({
  defaults,
  ageingMs,
  deadLettersKeptMs,
  maxBytes: limitBytes.messages,
});

export function isSame(before: unknown, after: unknown): boolean {
  if (before === undefined || after === undefined) return before === after;
  return canonicalJson(before) === canonicalJson(after);
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
