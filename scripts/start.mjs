// `npm start`: makes the clone ready, then runs the daemon in the foreground until it ends. Arguments after `--` go to
// `openstarry-daemon start`. package.json starts it by `exec`: a shell left in between would die of a signal and leave npm
// and this process without each other. Node's own modules only.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from './build.mjs';
import { main, ROOT, SetupError, setUp } from './setup.mjs';

/** One Ctrl-C arrives twice: from the terminal and, forwarded, from npm. Within this time it is one. */
const SAME_SIGNAL_MS = 500;

await main(async () => {
  await setUp();
  await build();
  const entry = path.join(ROOT, 'dist', 'cli', 'main.js');
  if (!existsSync(entry)) throw new SetupError(`${entry} is missing after the build: get a complete clone.`);
  return supervise(spawnDaemon(entry, process.argv.slice(2)));
});

/**
 * The daemon gets a session of its own, so that no signal of the terminal reaches it but through this process: a second
 * one means "at once", and must not come by accident.
 */
function spawnDaemon(entry, args) {
  return spawn(process.execPath, [entry, 'start', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
}

/** Passes signals on and waits. @returns the exit code of the daemon */
function supervise(daemon) {
  let last = { signal: '', at: -Infinity };
  const passOn = (signal) => {
    const now = performance.now();
    const same = signal === last.signal && now - last.at < SAME_SIGNAL_MS;
    last = { signal, at: now };
    if (!same) daemon.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR2']) process.on(signal, () => passOn(signal));
  // A terminal that closes ends what runs in its foreground; elsewhere SIGHUP asks the daemon to reload.
  process.on('SIGHUP', () => passOn(process.stdin.isTTY ? 'SIGTERM' : 'SIGHUP'));
  return new Promise((resolve, reject) => {
    daemon.on('error', reject);
    daemon.on('exit', (code, signal) => resolve(code ?? 128 + (os.constants.signals[signal] ?? 0)));
  });
}
