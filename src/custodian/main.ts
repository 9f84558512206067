import { fstatSync, lstatSync, mkdirSync, realpathSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { endpointFileOf, socketPathOf, stateHashOf } from './address.ts';
import type { CustodianEndpoint } from './address.ts';
import { openCgroups } from './tree/cgroups.ts';
import { createCustodian } from './custodian.ts';
import type { EmitEvent } from './context.ts';
import { openJournal } from './journal/journal.ts';
import { DAEMON_ID } from '../domain/ids.ts';
import { Keeper } from './keeper.ts';
import { takeLock } from './lock.ts';
import type { LogFile } from './logs/rotation.ts';
import { createLogger, messageOf } from './logger.ts';
import { createProcessTable } from './tree/process-table.ts';
import { LOCK_TAKEN_EXIT_CODE, PROTOCOL } from './protocol.ts';
import { createRequests } from './requests.ts';
import { createSocketServer } from './server.ts';
import { VERSION } from './version.ts';

const SOCKET_CHECK_MS = 5000;
const OWN_LOG_BYTES = 5 * 1024 * 1024;
const log = createLogger();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { 'state-dir': { type: 'string' }, version: { type: 'boolean' } } });
  if (values.version) {
    console.log(VERSION);
    return;
  }
  if (values['state-dir'] === undefined) throw new Error('Give the state directory: custodian --state-dir DIR');
  if (process.platform !== 'linux' && process.platform !== 'darwin') {
    throw new Error(`The custodian runs on Linux and macOS, not on ${process.platform}: on Windows use WSL`);
  }
  mkdirSync(resolve(values['state-dir']), { recursive: true, mode: 0o700 });
  const stateDir = realpathSync(values['state-dir']);
  const table = createProcessTable();
  const lock = await takeLock(stateDir, table);
  if (lock.kind === 'taken') {
    log.error('Another custodian holds this state directory', { state_dir: stateDir, holder: lock.holder });
    process.exitCode = LOCK_TAKEN_EXIT_CODE;
    return;
  }

  const startedAt = new Date().toISOString();
  const opened = {
    kind: 'opened',
    at: startedAt,
    pid: process.pid,
    boot: table.bootId,
    ns: table.pidNamespace,
  } as const;
  const journal = openJournal(join(stateDir, 'custody.journal'), opened, log);
  // Server and custodian know each other: events go one way, requests the other.
  const emit: EmitEvent = (event, data) => {
    server.emit(event, data);
    if ('exit' in data) keeper.exited(data.agent, data.exit);
    if (isEnding) endIfIdle();
  };
  const cgroups = openCgroups(stateHashOf(stateDir), log);
  const custodian = createCustodian({
    stateDir,
    table,
    journal,
    log,
    emit,
    ...ownLogOf(stateDir),
    ...(cgroups ? { cgroups } : {}),
  });
  const keeper = new Keeper({
    spawn: (params) => custodian.spawn(params),
    fence: () => journal.entries.get(DAEMON_ID)?.fence ?? 0,
    log,
  });
  const about = {
    version: VERSION,
    pid: process.pid,
    boot_id: table.bootId,
    state_dir: stateDir,
    tree: cgroups ? ('cgroup' as const) : table.tree,
  };
  const server = createSocketServer(
    createRequests({
      custodian,
      keeper,
      about,
      daemon: () => server.daemon(),
      end() {
        isEnding = true;
        endIfIdle();
      },
    }),
    (peer) => {
      if (peer.hello?.role === 'daemon') custodian.signaller.protectDaemon(undefined);
    },
    log,
  );
  let isEnding = false;
  let socketPath = socketPathOf(stateDir);

  const endIfIdle = () => {
    if (custodian.incarnations.size > 0) return;
    clearInterval(socketTimer);
    // after the answer has been written
    setImmediate(() => {
      server.close();
      for (const path of [socketPath, endpointFileOf(stateDir)]) removeQuietly(path);
      custodian.close();
      log.info('The custodian ended');
      lock.release();
      setTimeout(() => process.exit(0), 200).unref();
    });
  };

  const listen = async () => {
    socketPath = socketPathOf(stateDir);
    await server.listen(socketPath);
    const endpoint: CustodianEndpoint = {
      pid: process.pid,
      socket: socketPath,
      protocol: PROTOCOL,
      version: VERSION,
      started_at: startedAt,
    };
    writeEndpointFile(endpointFileOf(stateDir), endpoint);
  };

  custodian.recover();
  await listen();
  const socketTimer = setInterval(() => {
    if (server.isListening()) return;
    log.warn('The socket is gone, listening again', { path: socketPath });
    listen().catch((error: unknown) => log.error('Cannot listen', { error: messageOf(error) }));
  }, SOCKET_CHECK_MS);

  let isTerminating = false;
  process.on('SIGTERM', () => {
    // The second one forces.
    keeper.close();
    const stopped = custodian.stopAll(isTerminating ? 0 : undefined);
    if (isTerminating) return;
    isTerminating = true;
    log.info('Terminating: stopping everything');
    void stopped.then(() => {
      isEnding = true;
      endIfIdle();
    });
  });
  log.info('The custodian is ready', {
    pid: process.pid,
    state_dir: stateDir,
    socket: socketPath,
    adopted: custodian.incarnations.size,
  });
}

/** The starter may have sent our log elsewhere; then it is theirs to rotate. */
function ownLogOf(stateDir: string): { ownLog: LogFile } | undefined {
  const path = join(stateDir, 'custodian.log');
  try {
    const stdout = fstatSync(1);
    const file = lstatSync(path);
    if (!stdout.isFile() || stdout.ino !== file.ino || stdout.dev !== file.dev) return undefined;
  } catch {
    return undefined;
  }
  return { ownLog: { path, max_bytes: OWN_LOG_BYTES, keep: 1 } };
}

function writeEndpointFile(path: string, endpoint: CustodianEndpoint): void {
  try {
    writeFileSync(`${path}.next`, `${JSON.stringify(endpoint)}\n`, { mode: 0o600 });
    renameSync(`${path}.next`, path);
  } catch (error) {
    // The file only helps callers whose environment differs from ours.
    log.warn('Cannot write the endpoint file', { path, error: messageOf(error) });
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // gone already
  }
}

// A terminal that closes and a Ctrl-C meant for the daemon are not for the parent of all agents.
process.on('SIGHUP', () => {});
process.on('SIGINT', () => {});
process.on('SIGPIPE', () => {});
// Nothing may end it while agents live: what failed is one request or one timer.
process.on('uncaughtException', (error) =>
  log.error('A defect of the custodian', { error: error.stack ?? error.message }),
);

main().catch((error: unknown) => {
  log.error('The custodian cannot start', { error: messageOf(error) });
  process.stderr.write(`openstarry custodian: ${messageOf(error)}\n`);
  process.exit(1);
});
