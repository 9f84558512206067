/** `openstarry-daemon doctor`: what stands in the way of a daemon here, and how well it can keep its promises. */
import { readFileSync, statfsSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { findConfig } from '../../config/find-config.ts';
import { loadConfig } from '../../config/load-config.ts';
import { DEFAULT_PORTS, type LoadedConfig } from '../../config/config.ts';
import type { DoctorCheck, DoctorView } from '../../contract/doctor-view.ts';
import { connectCustodian } from '../../host/custodian-client.ts';
import { checkStateFiles, checkTrust, checkTree, existingParent } from './host.ts';
import { checkPorts, type OwnDaemon, ownDaemon } from './ports.ts';
import { describeOtherDaemon, findOtherHosts, OTHER_DAEMON_WAY_OUT } from '../temporal/other-daemons.ts';
import { stateDirectoryOf } from '../state-dir.ts';
import { openNamed } from '../temporal/temporal.ts';
import { cachedTemporalPath, isExecutable } from '../temporal/binary.ts';
import { TEMPORAL_CLI_VERSION, temporalVersion } from '../temporal/version.ts';

export interface DoctorOptions {
  file?: string | undefined;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

const ANSWER_MS = 2000;
const LOW_DISK_BYTES = 1024 ** 3;
const NO_DISK_BYTES = 100 * 1024 ** 2;

/** Changes nothing and starts nothing. */
export async function examine(options: DoctorOptions = {}): Promise<DoctorView> {
  const { cwd = process.cwd(), env = process.env } = options;
  const stateDir = stateDirectoryOf(env);
  const own = ownDaemon(stateDir);
  // The one that a start would use says nothing of a daemon that runs with another.
  const { check: configCheck, config } = await checkConfigFile(options.file ?? own?.config_file, cwd, env);
  const custodian = await connectCustodian(stateDir, {
    role: 'observer',
    version: 'doctor',
    timeoutMs: ANSWER_MS,
  }).catch(() => undefined);
  custodian?.close();
  const checks = [
    checkNode(),
    checkPlatform(),
    configCheck,
    await checkTemporal(config, env),
    ...(await checkPorts(config?.ports ?? DEFAULT_PORTS, own, config?.temporal.address != null)),
    ...checkStateFiles(stateDir),
    checkDaemon(own),
    {
      name: 'custodian',
      status: 'ok' as const,
      says:
        custodian === undefined
          ? 'none runs; a start brings one'
          : `runs (pid ${custodian.hello.pid}, version ${custodian.hello.version})`,
    },
    checkTree(custodian?.hello.tree, env),
    checkTrust(),
    checkDisk(stateDir),
  ];
  return { ok: checks.every(({ status }) => status !== 'fail'), checks };
}

function checkNode(): DoctorCheck {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const says = `${process.versions.node} (${process.execPath})`;
  if (major > 20 || (major === 20 && minor >= 19)) return { name: 'node', status: 'ok', says };
  return { name: 'node', status: 'fail', says, way_out: 'Install Node 20.19 or newer: https://nodejs.org' };
}

function checkPlatform(): DoctorCheck {
  const says = `${process.platform} ${process.arch}`;
  if (process.platform === 'linux') return { name: 'platform', status: 'ok', says };
  if (process.platform === 'darwin') {
    const way_out = 'Processes that leave their group can escape a stop; for that promise, use Linux';
    return { name: 'platform', status: 'warn', says: `${says}: supervision by process groups only`, way_out };
  }
  return { name: 'platform', status: 'fail', says, way_out: 'Run it on Linux or macOS; on Windows use WSL' };
}

async function checkConfigFile(
  file: string | undefined,
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ check: DoctorCheck; config: LoadedConfig | undefined }> {
  try {
    const config = await loadConfig(findConfig({ flag: file, cwd, env }), env);
    const says = `${config.file}, ${config.agents.length} agents`;
    return { check: { name: 'config', status: 'ok', says }, config };
  } catch (error) {
    const way_out = 'Correct it; `openstarry-daemon config check` looks at each agent, too';
    const check = { name: 'config', status: 'fail' as const, says: (error as Error).message, way_out };
    return { check, config: undefined };
  }
}

async function checkTemporal(config: LoadedConfig | undefined, env: NodeJS.ProcessEnv): Promise<DoctorCheck> {
  const name = 'temporal';
  const address = config?.temporal.address ?? null;
  if (address !== null) {
    if (await answers(address)) return checkCluster(name, config, hostIdOf(env));
    const way_out = 'Start it, or correct `temporal.address`; without it agents run on, but nothing new is started';
    return { name, status: 'fail', says: `nobody answers at ${address}`, way_out };
  }
  const named = env['OPENSTARRY_TEMPORAL_CLI'];
  if (named) {
    if (await isExecutable(named)) return { name, status: 'ok', says: `embedded, ${named} (OPENSTARRY_TEMPORAL_CLI)` };
    const way_out = 'Correct OPENSTARRY_TEMPORAL_CLI, or unset it';
    return { name, status: 'fail', says: `${named} (OPENSTARRY_TEMPORAL_CLI) cannot be executed`, way_out };
  }
  const cached = cachedTemporalPath(env);
  if (await isExecutable(cached)) return { name, status: 'ok', says: `embedded, ${cached} (cached)` };
  const onPath = await temporalVersion('temporal').catch(() => undefined);
  if (onPath === TEMPORAL_CLI_VERSION) return { name, status: 'ok', says: `embedded, temporal ${onPath} on PATH` };
  const says = `embedded, version ${TEMPORAL_CLI_VERSION} is not here yet`;
  const way_out =
    'The first start downloads it, or builds it with Go; without a network name one with OPENSTARRY_TEMPORAL_CLI';
  return { name, status: 'warn', says, way_out };
}

/** Takes connections; is anybody else at home there? */
async function checkCluster(
  name: string,
  config: LoadedConfig | undefined,
  hostId: string | undefined,
): Promise<DoctorCheck> {
  const opened = config && (await openNamed(config.temporal).catch(() => undefined));
  const says = `a server of yours, ${config?.temporal.address}, takes connections`;
  const [other] = opened ? await findOtherHosts(opened, hostId) : [];
  if (opened === undefined || other === undefined) return { name, status: 'ok', says };
  const wrong = `${says}; ${describeOtherDaemon(other, opened.namespace)}`;
  return { name, status: 'warn', says: wrong, way_out: OTHER_DAEMON_WAY_OUT };
}

/** Undefined before the first start. */
function hostIdOf(env: NodeJS.ProcessEnv): string | undefined {
  try {
    return readFileSync(path.join(stateDirectoryOf(env), 'host-id'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function answers(address: string): Promise<boolean> {
  const url = new URL(`tcp://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname, port: Number(url.port) || 7233, timeout: ANSWER_MS });
    const end = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', end(true)).once('error', end(false)).once('timeout', end(false));
  });
}

function checkDaemon(own: OwnDaemon | undefined): DoctorCheck {
  const says = own === undefined ? 'none runs' : `runs (pid ${own.pid}, version ${own.version}, phase ${own.phase})`;
  return { name: 'daemon', status: 'ok', says };
}

function checkDisk(stateDir: string): DoctorCheck {
  const { bavail, bsize } = statfsSync(existingParent(stateDir));
  const free = bavail * bsize;
  const says = `${Math.round(free / 1024 ** 2)} MiB free for ${stateDir}`;
  if (free >= LOW_DISK_BYTES) return { name: 'disk', status: 'ok', says };
  const way_out = 'Free some space: logs are cut and nothing new is recorded when it is full; agents run on';
  return { name: 'disk', status: free < NO_DISK_BYTES ? 'fail' : 'warn', says, way_out };
}
