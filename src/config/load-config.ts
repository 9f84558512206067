import path from 'node:path';
import type { AgentInput, AgentRequest } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import { dependencyCycle } from '../domain/dependencies.ts';
import type { RestartPolicy } from '../domain/restart-policy.ts';
import { parseBytes } from '../domain/size.ts';
import { DEFAULT_STOP } from '../domain/stop-policy.ts';
import { parseAgentRequest } from '../schema/agent-input.ts';
import { nearest } from '../schema/nearest.ts';
import { plainData } from '../schema/plain-data.ts';
import { dependenciesOf, restartPolicyOf, stopPolicyOf } from '../schema/policies.ts';
import { check } from '../schema/problem.ts';
import { withCron } from '../schema/schedule-input.ts';
import { type ConfigFile, configSchema } from './config-schema.ts';
import { type ConfigSource, readConfigSource } from './config-source.ts';
import { DEFAULT_PORTS, type LoadedConfig, type Ports } from './config.ts';
import { designLayerOf } from './design-layer-settings.ts';
import { escalationOf } from './escalation-settings.ts';
import { expandSettings } from './expand-settings.ts';
import { faultDomainsOf } from './fault-domain-settings.ts';
import { messagingOf } from './messaging-settings.ts';
import type { FoundAgent } from './registry-folder.ts';
import { pluginsOf } from './plugin-settings.ts';
import { registryOf } from './registry.ts';
import { schedulesOf } from './schedule-settings.ts';
import { temporalSettingsOf } from './temporal-settings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads and checks a configuration file.
 *
 * @throws CodedError CONFIG_NOT_FOUND, or CONFIG_INVALID that names file, line, setting, the value seen and what is accepted
 */
export async function loadConfig(name: string, env: Environment): Promise<LoadedConfig> {
  const source = await readConfigSource(path.resolve(name));
  const { file } = source;
  const dir = path.dirname(file);
  const settings = checkFile(source, env);
  const faultDomains = faultDomainsOf(settings, (where, work) => at(source, where, work));
  const found = await registryOf(source, settings, env);
  const { agents, schedules } = schedulesOf(source, settings, agentsOf(source, settings, found, faultDomains));
  checkDependencies(source, agents);
  const master = settings.master === undefined ? null : (agents[0] as AgentInput).agent_id;
  const chief = settings.chief ?? master;
  if (chief !== null && !agents.some((agent) => agent.agent_id === chief)) {
    throw source.invalid(
      ['chief'],
      `chief is ${JSON.stringify(chief)}; expected ${oneOf(
        chief,
        agents.map((agent) => agent.agent_id),
      )}`,
    );
  }
  return {
    file,
    dir,
    designLayer: designLayerOf(source, settings, env),
    master,
    chief,
    faultDomains,
    defaults: { stop: stopPolicyOf(DEFAULT_STOP, settings.defaults ?? null) },
    agents,
    schedules,
    logs: { minFreeBytes: settings.logs?.min_free === undefined ? null : parseBytes(settings.logs.min_free) },
    messaging: await messagingOf(source, settings, (where, work) => at(source, where, work)),
    plugins: pluginsOf(source, settings, env),
    escalation: escalationOf(source, settings, env),
    ports: portsOf(source, settings),
    temporal: temporalSettingsOf(source, settings, env),
  };
}

function checkFile(source: ConfigSource, env: Environment): ConfigFile {
  const plain = plainData(source.data);
  if (plain.kind === 'problem') throw source.invalid(plain.problem.path, plain.problem.message);
  const expanded = expandSettings(plain.value, env, source.invalid);
  const checked = check(configSchema, withCrons(expanded));
  if (checked.kind === 'ok') return checked.value;
  const { path: where, message } = checked.problem;
  throw source.invalid(where, message);
}

/** `schedule: { a: "0 9 * * *" }` is short for `schedule: { a: { cron: "0 9 * * *" } }`. */
function withCrons(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || !('schedule' in value)) return value;
  const { schedule } = value;
  if (schedule === null || typeof schedule !== 'object' || Array.isArray(schedule)) return value;
  const crons = Object.entries(schedule).map(([agentId, given]) => [agentId, withCron(given)]);
  return { ...value, schedule: Object.fromEntries(crons) as unknown };
}

function agentsOf(
  source: ConfigSource,
  settings: ConfigFile,
  found: ReadonlyMap<string, FoundAgent>,
  faultDomains: Record<string, RestartPolicy>,
): AgentRequest[] {
  const agents: AgentRequest[] = [];
  const { master } = settings;
  if (master !== undefined) {
    // The domain of that name, unless the file says otherwise.
    agents.push(agentOf(source, ['master'], { fault_domain: 'master', ...master }, faultDomains));
  }
  for (const [id, fields] of Object.entries(settings.agents ?? {})) {
    const where = ['agents', id];
    if (Object.hasOwn(fields, 'agent_id') || Object.hasOwn(fields, 'agentId')) {
      throw source.invalid(
        [...where, 'agent_id'],
        `agents.${id}.agent_id is given twice: the key ${id} is the agent_id; remove the field`,
      );
    }
    if (agents.some((agent) => agent.agent_id === id)) {
      throw source.invalid(where, `agents.${id} is the master, which is declared under master; remove one of them`);
    }
    const whole = { agent_id: id, ...registered(source, where, found.get(id), fields) };
    agents.push(agentOf(source, where, whole, faultDomains));
  }
  for (const { agent_id, command, location } of found.values()) {
    const known = agents.find((agent) => agent.agent_id === agent_id);
    if (known === undefined) agents.push({ agent_id, command, origin: `file ${source.file}` });
    else if (known === agents[0] && master !== undefined) {
      throw source.invalid(
        ['master'],
        `master.agent_id is ${agent_id}, and so is the agent of ${location}; rename one of them`,
      );
    }
  }
  return agents;
}

/** What the file says of an agent that the registry found: everything but what runs it. */
function registered(
  source: ConfigSource,
  where: string[],
  found: FoundAgent | undefined,
  fields: Record<string, unknown>,
): Record<string, unknown> {
  if (found === undefined) return fields;
  for (const name of ['command', 'template_id', 'templateId']) {
    if (!Object.hasOwn(fields, name)) continue;
    const says = `${where.join('.')}.${name} is given, and ${found.location} of the registry is an agent of the same id; remove one of them`;
    throw source.invalid([...where, name], says);
  }
  return { command: found.command, ...fields };
}

function agentOf(
  source: ConfigSource,
  where: string[],
  fields: Record<string, unknown>,
  faultDomains: Record<string, RestartPolicy>,
): AgentRequest {
  const input = at(source, where, () => parseAgentRequest(fields));
  const name = where.join('.');
  if (input.command === undefined && input.template_id === undefined) {
    throw source.invalid(where, `${name} has neither command nor template_id; give one of them`);
  }
  const domain = input.fault_domain;
  if (domain !== undefined && !Object.hasOwn(faultDomains, domain)) {
    const expected = oneOf(domain, Object.keys(faultDomains));
    throw source.invalid(
      [...where, 'fault_domain'],
      `${name}.fault_domain is ${JSON.stringify(domain)}; expected ${expected}`,
    );
  }
  // What can be known to be wrong now is told now, and not when the agent starts. A template may yet change the policy.
  if (input.template_id === undefined) {
    at(source, where, () => restartPolicyOf(faultDomains[domain ?? 'default'] as RestartPolicy, input));
  }
  return { ...input, origin: `file ${source.file}` };
}

/** What a template says of dependencies is not looked at: it may change while the daemon runs. */
function checkDependencies(source: ConfigSource, agents: readonly AgentInput[]): void {
  const known = agents.map((agent) => agent.agent_id);
  const dependenciesById = new Map(agents.map((agent) => [agent.agent_id, Object.keys(dependenciesOf(agent))]));
  for (const [agentId, dependencies] of dependenciesById) {
    for (const other of dependencies.filter((id) => !known.includes(id))) {
      const says = `agents.${agentId}.depends_on names ${JSON.stringify(other)}; expected ${oneOf(other, known)}`;
      throw source.invalid(['agents', agentId, 'depends_on'], says);
    }
  }
  const cycle = dependencyCycle(dependenciesById);
  if (cycle === undefined) return;
  const says = `agents.${cycle[0]}.depends_on goes round: ${cycle.join(' → ')}; none of them could ever start`;
  throw source.invalid(['agents', cycle[0] as string, 'depends_on'], says);
}

/** What fails for the setting at this path is told as an error of the file. */
function at<T>(source: ConfigSource, where: string[], work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const { field } = error.details;
    const inner = typeof field === 'string' && field !== '' ? field : undefined;
    const joint = inner !== undefined && error.message.startsWith(inner) ? '.' : ': ';
    throw source.invalid([...where, ...(inner?.split('.') ?? [])], `${where.join('.')}${joint}${error.message}`);
  }
}

function portsOf(source: ConfigSource, settings: ConfigFile): Ports {
  const ports: Ports = { ...DEFAULT_PORTS, ...settings.ports };
  const taken = new Map<number, string>();
  for (const [name, port] of Object.entries(ports)) {
    const other = taken.get(port);
    if (other !== undefined && port !== 0) {
      throw source.invalid(
        ['ports', name],
        `ports.${name} and ports.${other} are both ${port}; give each its own, or 0 for any free`,
      );
    }
    taken.set(port, name);
  }
  return ports;
}

function oneOf(seen: string, known: string[]): string {
  const near = nearest(seen, known);
  const suggestion = near === undefined ? '' : `; did you mean "${near}"?`;
  return known.length === 0
    ? 'the id of an agent in this file, which has none'
    : `one of ${known.join(', ')}${suggestion}`;
}
