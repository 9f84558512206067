// One build at a time in one checkout: `npm start` and `npm test` may run side by side.
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Runs `body` while the file exists and names this process. The lock of a process that is gone is taken over. */
export async function withBuildLock(file, body) {
  while (!acquire(file)) await delay(100);
  try {
    return await body();
  } finally {
    rmSync(file, { force: true });
  }
}

function acquire(file) {
  // Written first and linked into place, so that a lock without its owner's pid is never seen.
  const mine = `${file}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    linkSync(mine, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  } finally {
    rmSync(mine, { force: true });
  }
  const holder = readHolder(file);
  if (holder !== undefined && !isAlive(holder)) rmSync(file, { force: true });
  return false;
}

function readHolder(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
