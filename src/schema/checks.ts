import type { AgentInput, HealthInput, LimitsInput, ProbeInput } from '../contract/agent-input.ts';
import type { Checks } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { DEFAULT_PROBE, type HealthPolicy, type Probe, type ProbeCheck, type ProbePolicy } from '../domain/health.ts';
import { DEFAULT_LIMIT, type LimitPolicy } from '../domain/limits.ts';
import { parsePercent } from '../domain/percent.ts';
import { parseBytes } from '../domain/size.ts';

type Source = Pick<AgentInput, 'health' | 'limits'>;
/** Fills in `{{names}}`; `ofInput`: the text is the agent's own, not its template's. */
type Fill = (field: string, text: string, ofInput: boolean) => string;

/** What the agent says of a probe replaces what its template says of it; limits are put together by member. */
export function checksOf(input: Source, template: Source | null, fill: Fill): Checks {
  return { health: healthOf(input.health, template?.health, fill), limits: limitsOf({ ...template?.limits, ...input.limits }) };
}

function healthOf(own: HealthInput = {}, standard: HealthInput = {}, fill: Fill): HealthPolicy | null {
  const given = { ...standard, ...own };
  const policyOf = (name: Probe, probe: ProbeInput | undefined): ProbePolicy | null =>
    probe === undefined ? null : probeOf(`health.${name}`, probe, Object.hasOwn(own, name), fill);
  const { liveness } = given;
  const policy: HealthPolicy = {
    startup: policyOf('startup', given.startup),
    readiness: policyOf('readiness', given.readiness),
    liveness: null,
  };
  if (liveness?.heartbeat !== undefined) {
    const initialDelayMs = msOf(liveness.initial_delay, 0);
    policy.liveness = { kind: 'heartbeat', periodMs: parseDurationMs(liveness.heartbeat), initialDelayMs };
  } else {
    const probe = policyOf('liveness', liveness);
    if (probe !== null) policy.liveness = { kind: 'probe', ...probe };
  }
  return policy.startup === null && policy.readiness === null && policy.liveness === null ? null : policy;
}

function probeOf(field: string, probe: ProbeInput, ofInput: boolean, fill: Fill): ProbePolicy {
  return {
    check: checkOf(field, probe, ofInput, fill),
    initialDelayMs: msOf(probe.initial_delay, DEFAULT_PROBE.initialDelayMs),
    periodMs: msOf(probe.period, DEFAULT_PROBE.periodMs),
    timeoutMs: msOf(probe.timeout, DEFAULT_PROBE.timeoutMs),
    failureThreshold: probe.failure_threshold ?? DEFAULT_PROBE.failureThreshold,
    successThreshold: probe.success_threshold ?? DEFAULT_PROBE.successThreshold,
  };
}

const msOf = (text: string | undefined, standard: number): number =>
  text === undefined ? standard : parseDurationMs(text);

function checkOf(field: string, { http, tcp, exec = [] }: ProbeInput, ofInput: boolean, fill: Fill): ProbeCheck {
  if (http !== undefined) return { kind: 'http', url: urlOf(`${field}.http`, fill(`${field}.http`, http, ofInput)) };
  if (tcp === undefined) {
    return { kind: 'exec', command: exec.map((text, n) => fill(`${field}.exec.${n}`, text, ofInput)) };
  }
  return { kind: 'tcp', ...addressOf(`${field}.tcp`, fill(`${field}.tcp`, String(tcp), ofInput)) };
}

function urlOf(field: string, text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw refusal(field, text, 'a URL such as "http://127.0.0.1:9000/ready"');
}

function addressOf(field: string, text: string): { host: string; port: number } {
  // The brackets of an IPv6 address are for reading, not for connecting.
  const match = /^(?:\[?([^\s[\]]+)\]?:)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match !== null && port >= 1 && port <= 65_535) return { host: match[1] ?? '127.0.0.1', port };
  throw refusal(field, text, 'a port, or host:port, such as "127.0.0.1:9000"');
}

function limitsOf({ memory, cpu, for: time, action }: LimitsInput): LimitPolicy | null {
  if (memory === undefined && cpu === undefined) {
    if (time === undefined && action === undefined) return null;
    throw new CodedError('INVALID_REQUEST', 'limits has neither memory nor cpu; give one of them', { field: 'limits' });
  }
  return {
    memoryBytes: memory === undefined ? null : parseBytes(memory),
    cpuPercent: cpu === undefined ? null : parsePercent(cpu),
    forMs: msOf(time, DEFAULT_LIMIT.forMs),
    action: action ?? DEFAULT_LIMIT.action,
  };
}

const refusal = (field: string, seen: string, expected: string): CodedError =>
  new CodedError('INVALID_REQUEST', `${field} is ${JSON.stringify(seen)}; expected ${expected}`, { field });
