import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pino } from 'pino';
import { findConfig } from '../../config/find-config.ts';
import { loadConfig } from '../../config/load-config.ts';
import type { AgentInput } from '../../contract/agent-input.ts';
import type { CheckedAgent, ConfigCheck } from '../../contract/config-check.ts';
import type { Launch } from '../../contract/definition.ts';
import { codeOf } from '../../contract/errors.ts';
import { resolveExecutable } from '../../custodian/executable.ts';
import { environmentOf } from '../../host/environment.ts';
import { resolveReferences } from '../../schema/resolve-references.ts';
import { Definitions } from './definitions.ts';
import { DesignLayer } from './design-layer.ts';
import { checkPlugins } from '../assembly/plugins.ts';
import { stateDirectoryOf } from '../state-dir.ts';

export interface CheckConfigOptions {
  /** The value of `--config`, if given. */
  file?: string | undefined;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/**
 * `openstarry-daemon config check`: reads the configuration that a start would read, puts every agent of it together
 * with its template, and looks at the plugins that it names. Starts nothing and writes nothing but copies of templates that come from a service.
 *
 * @throws CodedError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export async function checkConfig(options: CheckConfigOptions = {}): Promise<ConfigCheck> {
  const { cwd = process.cwd(), env = process.env } = options;
  const config = await loadConfig(findConfig({ flag: options.file, cwd, env }), env);
  const cacheFolder = path.join(stateDirectoryOf(env), 'templates');
  const log = pino({ enabled: false });
  const { faultDomains, defaults, dir, designLayer } = config;
  const definitions = new Definitions(new Uint8Array(32), {
    templates: new DesignLayer(designLayer, { cacheFolder, log }).source,
    faultDomains,
    defaults,
    baseDir: dir,
    requireSigned: false,
  });
  const agents = await Promise.all(config.agents.map((input) => checkAgent(definitions, input, env)));
  const plugins = await checkPlugins(config, dir);
  const ok = [...agents, ...plugins].every(({ problem }) => problem === null);
  return { ok, config_file: config.file, plugins, agents };
}

async function checkAgent(definitions: Definitions, input: AgentInput, env: NodeJS.ProcessEnv): Promise<CheckedAgent> {
  const { agent_id } = input;
  const template_id = input.template_id ?? null;
  try {
    const { launch, fault_domain } = await definitions.admit(input);
    const warnings = warningsOf(launch, env);
    return { agent_id, template_id, fault_domain, command: launch.command, problem: null, warnings };
  } catch (error) {
    const problem = { code: codeOf(error) ?? 'INTERNAL', message: (error as Error).message };
    return { agent_id, template_id, fault_domain: null, command: input.command ?? null, problem, warnings: [] };
  }
}

/** The daemon's environment may differ from the caller's: what is missing here is only a warning. */
function warningsOf(launch: Launch, env: NodeJS.ProcessEnv): string[] {
  try {
    const text = launch.env_file === null ? null : readFileSync(launch.env_file, 'utf8');
    const resolved = resolveReferences(launch, env, text);
    const identity = { agentId: '', apiUrl: '', token: '', task: null, requestId: null };
    resolveExecutable(resolved.command[0] as string, environmentOf(env, resolved.env, identity), launch.cwd);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/** What it found, as people read it. */
export function describeCheck(check: ConfigCheck): string {
  const lines = check.agents.flatMap(({ agent_id, template_id, problem, warnings }) => {
    const from = template_id === null ? '' : ` (${template_id})`;
    if (problem !== null) return [`  ✗ ${agent_id}${from}: ${problem.message}`];
    return [`  ✓ ${agent_id}${from}`, ...warnings.map((warning) => `    ! ${warning}`)];
  });
  const plugins = check.plugins.flatMap(({ kind, use, problem }) =>
    problem === null ? [] : [`  ✗ plugins.${kind} (${use}): ${problem.message}`],
  );
  const bad = check.agents.filter(({ problem }) => problem !== null).length;
  const agents = `${check.agents.length} ${check.agents.length === 1 ? 'agent' : 'agents'}`;
  const troubles = [
    ...(plugins.length > 0 ? ['names a plugin that cannot be used'] : []),
    ...(bad > 0 ? [`has ${bad} of ${agents} that cannot be started`] : []),
  ];
  const verdict = troubles.length === 0 ? `is valid: ${agents}` : troubles.join(', and ');
  return [`${check.config_file} ${verdict}`, ...plugins, ...lines].join('\n');
}
