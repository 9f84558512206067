import { readFile } from 'node:fs/promises';
import type { RunProcessRequest } from '../contract/activities.ts';
import type { Definition } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import type { SpawnParams } from '../custodian/protocol.ts';
import { isPassing } from '../domain/passing-faults.ts';
import type { Fleet } from '../host/fleet.ts';
import type { HostOptions } from '../host/host.ts';
import { environmentOf } from '../host/environment.ts';
import { findUser } from '../host/system-users.ts';
import { resolveReferences } from '../schema/resolve-references.ts';
import { issueAgentToken } from '../trust/agent-token.ts';
import type { Definitions } from './configuration/definitions.ts';
import type { Snapshots } from './snapshots.ts';

/** One file an incarnation, rotated by size. */
const LOG_FILES = { max_bytes: 10 * 1024 * 1024, keep: 3 };

export interface PreparationOptions {
  key: Uint8Array;
  apiUrl: () => string;
  env: NodeJS.ProcessEnv;
  snapshots: Pick<Snapshots, 'write'>;
}

/** What the host needs to run programs: those of agents, and those that ask whether an agent is well. */
export function hostPreparation(
  options: PreparationOptions,
  definitions: Pick<Definitions, 'trusted'>,
  fleet: Pick<Fleet, 'get'>,
): Pick<HostOptions, 'prepare' | 'execContext'> {
  return {
    async prepare(request, definition) {
      const params = await prepareSpawn(options, request, definition);
      // Last: what cannot be started anyway leaves no file.
      const file = await options.snapshots.write(params.agent, params.generation, params.user);
      return file === undefined ? params : { ...params, env: { ...params.env, OPENSTARRY_SNAPSHOT_FILE: file } };
    },
    async execContext(agentId, generation) {
      const input = fleet.get(agentId)?.decision.input;
      if (input === undefined) throw new Error(`nothing is known of ${agentId}`);
      const request = { input, generation, template_version: null, reason: '', request_id: null };
      const { cwd, env } = await prepareSpawn(options, request, await definitions.trusted(input));
      return { cwd, env };
    },
  };
}

/** Makes the spawn call of an incarnation. Secrets are read here, on the host, and go nowhere but into its environment. */
async function prepareSpawn(
  options: PreparationOptions,
  request: RunProcessRequest,
  definition: Definition,
): Promise<SpawnParams> {
  const { launch, agent_id: agentId, rules } = definition;
  const resolved = resolveReferences(launch, options.env, await envFile(launch.env_file));
  const user = launch.user === undefined ? undefined : await findUser(launch.user);
  const token = issueAgentToken({ agent_id: agentId, generation: request.generation, may: launch.may }, options.key);
  return {
    agent: agentId,
    generation: request.generation,
    command: resolved.command,
    env: environmentOf(options.env, resolved.env, {
      agentId,
      apiUrl: options.apiUrl(),
      token,
      task: launch.task,
      requestId: request.request_id,
      runId: request.input.run?.run_id ?? null,
      ...(user === undefined ? {} : { user }),
    }),
    cwd: launch.cwd,
    ...(launch.stdin === null ? {} : { stdin: launch.stdin }),
    ...(user === undefined ? {} : { user: { uid: user.uid, gid: user.gid } }),
    ...(launch.kill_mode === undefined ? {} : { kill_mode: launch.kill_mode }),
    log: LOG_FILES,
    stop: { signal: rules.stop.signal, grace_ms: rules.stop.graceMs },
  };
}

async function envFile(file: string | null): Promise<string | null> {
  if (file === null) return null;
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const says = `env_file cannot be read: ${message}`;
    // Without a code of ours it is tried again.
    if (isPassing(code)) throw new Error(says, { cause: error });
    throw new CodedError('SPAWN_FAILED', says, { file }, error);
  }
}
