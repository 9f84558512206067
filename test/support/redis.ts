import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { until } from './wait.ts';

export interface RedisServer {
  url: string;
  port: number;
  pid: number;
  /** Where it keeps everything. */
  folder: string;
  /** It is gone afterwards; what it has kept stays. */
  kill: (signal?: NodeJS.Signals) => Promise<void>;
  /** Again, with what it has kept. */
  start: () => Promise<void>;
  /** Kills it, and removes what it has kept. */
  stop: () => Promise<void>;
}

/**
 * Starts a Redis of its own: on a free port, with a folder of its own, everything synced before it is acknowledged.
 *
 * @param settings further ones, such as `['--appendfsync', 'no']`
 */
export async function startRedis(binary: string, settings: readonly string[] = []): Promise<RedisServer> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-redis-'));
  const port = (await choosePorts({ 'the test Redis': 0 }))['the test Redis'] as number;
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--loglevel', 'warning'];
  const always = ['--appendonly', 'yes', '--appendfsync', 'always'];
  let child: ChildProcess;
  const killAtExit = (): void => void child.kill('SIGKILL');

  const start = async (): Promise<void> => {
    child = spawn(binary, [...args, ...always, ...settings], { stdio: ['ignore', 'ignore', 'inherit'] });
    await until(
      () => {
        if (hasEnded(child)) throw new Error(`${binary} has ended with ${child.exitCode ?? child.signalCode}`);
        return answers(port);
      },
      { what: 'Redis' },
    );
  };
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  process.on('exit', killAtExit);
  const stop = async (): Promise<void> => {
    process.off('exit', killAtExit);
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  await start().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    get pid() {
      return child.pid ?? 0;
    },
    kill,
    start,
    stop,
  };
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** True once it answers to PING: before, it reads what it has kept. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.once('data', (reply) => {
      socket.destroy();
      resolve(/^(\+PONG|-NOAUTH)/.test(reply.toString()));
    });
    socket.once('error', () => resolve(false));
  });
}
