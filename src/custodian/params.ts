import { isAbsolute } from 'node:path';
import { DAEMON_ID } from '../domain/ids.ts';
import { isAgentName } from './journal/journal-line.ts';
import type { HelloParams, Methods, SettingsParams, ShutdownParams, SpawnParams, StopParams } from './protocol.ts';
import { Refusal } from './refusal.ts';
import { isSignalName } from './signals.ts';

/**
 * What is accepted of each request. A field that is wrong is refused by name; the custodian never repairs one.
 */
type Fields = Record<string, unknown>;

function refuse(field: string, expected: string, value: unknown): never {
  const seen = JSON.stringify(value)?.slice(0, 80) ?? 'undefined';
  throw new Refusal('BAD_REQUEST', `Expected \`${field}\` to be ${expected}, got ${seen}`);
}

function object(field: string, value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : refuse(field, 'an object', value);
}
// A NUL would cut the text short on its way into the kernel.
function text(field: string, value: unknown): string {
  return typeof value === 'string' && !value.includes('\0') ? value : refuse(field, 'a string without NUL', value);
}
function agentName(value: unknown, field = 'agent'): string {
  return isAgentName(value) ? value : refuse(field, 'an agent id of 1 to 64 characters', value);
}
function count(field: string, value: unknown, least = 0): number {
  const isCount = Number.isSafeInteger(value) && (value as number) >= least;
  return isCount ? (value as number) : refuse(field, `an integer of at least ${least}`, value);
}
function generation(value: unknown): number {
  const number = count('generation', value);
  return number < Number.MAX_SAFE_INTEGER ? number : refuse('generation', 'a safe integer with room above it', value);
}
function signalName(field: string, value: unknown): NodeJS.Signals {
  return isSignalName(value) ? value : refuse(field, 'the name of a signal, such as SIGTERM', value);
}
function oneOf<T extends string>(field: string, value: unknown, allowed: readonly T[]): T {
  return allowed.includes(value as T) ? (value as T) : refuse(field, `one of ${allowed.join(', ')}`, value);
}

function spawnParams(params: Fields): SpawnParams {
  const { command, env, cwd, stdin, stop, user, kill_mode: killMode } = params;
  if (!Array.isArray(command) || command.length === 0 || command[0] === '')
    refuse('command', 'a list of at least one string', command);
  const log = object('log', params['log']);
  const stopFields = stop === undefined ? undefined : object('stop', stop);
  const checkedCwd = text('cwd', cwd);
  return {
    agent: agentName(params['agent']),
    generation: generation(params['generation']),
    command: (command as unknown[]).map((part, index) => text(`command[${index}]`, part)),
    env: Object.fromEntries(
      Object.entries(object('env', env)).map(([name, value]) => {
        if (name === '' || name.includes('=') || name.includes('\0')) refuse('env', 'names without = or NUL', name);
        return [name, text(`env.${name}`, value)];
      }),
    ),
    cwd: isAbsolute(checkedCwd) ? checkedCwd : refuse('cwd', 'an absolute path', cwd),
    ...(stdin === undefined ? {} : { stdin: typeof stdin === 'string' ? stdin : refuse('stdin', 'a string', stdin) }),
    ...(user === undefined ? {} : { user: userOf(object('user', user)) }),
    ...(killMode === undefined ? {} : { kill_mode: oneOf('kill_mode', killMode, ['tree', 'process']) }),
    log: { max_bytes: count('log.max_bytes', log['max_bytes'], 1), keep: count('log.keep', log['keep']) },
    ...(stopFields
      ? {
          stop: {
            signal: signalName('stop.signal', stopFields['signal']),
            grace_ms: count('stop.grace_ms', stopFields['grace_ms']),
          },
        }
      : {}),
  };
}

const userOf = ({ uid, gid }: Fields) => ({ uid: count('user.uid', uid), gid: count('user.gid', gid) });

/** The reason stands in the journal and in every answer about the agent. */
const WHY_CHARACTERS = 500;

function stopParams(params: Fields): StopParams {
  const { why } = params;
  return {
    agent: agentName(params['agent']),
    generation: generation(params['generation']),
    cause: oneOf('cause', params['cause'], ['operator', 'unhealthy', 'limit', 'shutdown']),
    ...(why === undefined ? {} : { why: text('why', why).slice(0, WHY_CHARACTERS) }),
    signal: signalName('signal', params['signal']),
    grace_ms: count('grace_ms', params['grace_ms']),
  };
}

function shutdownParams({ waves, grace_ms: graceMs }: Fields): ShutdownParams {
  if (!Array.isArray(waves)) refuse('waves', 'a list of lists of agent ids', waves);
  return {
    waves: (waves as unknown[]).map((wave, index) =>
      Array.isArray(wave)
        ? wave.map((agent) => agentName(agent, `waves[${index}]`))
        : refuse(`waves[${index}]`, 'a list', wave),
    ),
    ...(graceMs === undefined ? {} : { grace_ms: count('grace_ms', graceMs) }),
  };
}

function helloParams(params: Fields): HelloParams {
  return {
    protocol: count('protocol', params['protocol']),
    role: oneOf('role', params['role'], ['daemon', 'observer']),
    pid: count('pid', params['pid'], 1),
    version: text('version', params['version']),
  };
}

function settingsParams(params: Fields): SettingsParams {
  const { min_free_bytes: bytes } = object('logs', params['logs']);
  return { logs: { min_free_bytes: bytes === null ? null : count('logs.min_free_bytes', bytes) } };
}

const nothing = () => ({});
const onlyAgent = (params: Fields) => ({ agent: agentName(params['agent']) });

const ofOrder = (params: Fields) => ({
  ...onlyAgent(params),
  ...(params['at'] === undefined ? {} : { at: text('at', params['at']) }),
});

const process = (params: Fields) => ({
  agent: agentName(params['agent']),
  generation: generation(params['generation']),
});

const CHECKS: { [M in keyof Methods]: (params: Fields) => Methods[M][0] } = {
  hello: helloParams,
  list: nothing,
  custody: onlyAgent,
  spawn: spawnParams,
  stop: stopParams,
  signal: (params) => ({
    agent: agentName(params['agent']),
    generation: generation(params['generation']),
    signal: signalName('signal', params['signal']),
  }),
  pause: process,
  resume: process,
  trees: ({ agents }) => {
    if (agents === undefined) return {};
    if (!Array.isArray(agents)) refuse('agents', 'a list of agent ids', agents);
    return { agents: (agents as unknown[]).map((agent) => agentName(agent, 'agents')) };
  },
  forget: onlyAgent,
  order: (params) => ({
    ...ofOrder(params),
    verb: oneOf('verb', params['verb'], ['stop', 'delete']),
  }),
  orders: nothing,
  order_done: ofOrder,
  settings: settingsParams,
  shutdown: shutdownParams,
  keep: ({ spawn }) => ({
    spawn: spawn === null ? null : spawnParams({ ...object('spawn', spawn), agent: DAEMON_ID, generation: 1 }),
  }),
  end: nothing,
};

export type Method = keyof Methods;

export function isMethod(value: unknown): value is Method {
  return typeof value === 'string' && Object.hasOwn(CHECKS, value);
}

export function checkParams<M extends Method>(method: M, params: unknown): Methods[M][0] {
  return CHECKS[method](object('params', params ?? {}));
}
