import { closeSync, constants, fstatSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs';
import { lstat, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describeBytes } from '../../domain/size.ts';
import { errnoOf } from '../logger.ts';
import type { Logger } from '../logger.ts';

/**
 * Keeps room on the disk of the logs: of all that is written there, they are what can be done without. Older parts go
 * first, the oldest before the others, then the logs of earlier incarnations; only then is the largest of the newest
 * logs cut, which may be that of a live agent.
 */
export interface LogSpace {
  /** Below it logs are cut; null stands for the standard. */
  setMinFree(bytes: number | null): void;
  /**
   * One look; what has to go goes meanwhile. True if the disk fills so fast that it should be checked again soon.
   * @param isRotating which logs are being copied: they are left alone
   */
  look(isRotating: (path: string) => boolean): boolean;
}

export const STANDARD_MIN_FREE_BYTES = 100 * 2 ** 20;
/** Of a small disk the standard is this part. */
const STANDARD_PART = 1 / 20;
/** To cut what is smaller gains nothing: it is something else that fills the disk. */
const LEAST_BYTES = 2 ** 20;
/** After a look that found nothing to cut. */
const AGAIN_MS = 30_000;

const TOLD_FILES = 10;

const { O_APPEND, O_NOFOLLOW, O_RDWR } = constants;

interface Room {
  freeBytes: number;
  minBytes: number;
}

interface FoundLog {
  path: string;
  bytes: number;
  changedMs: number;
  /** An older part, or the log of an incarnation before the newest. */
  isOld: boolean;
}

export function createLogSpace(folder: string, log: Logger): LogSpace {
  let wantedBytes: number | null = null;
  let lastFreeBytes: number | undefined;
  let isAtWork = false;
  let restUntilMs = 0;

  const room = (): Room | undefined => {
    try {
      const { bavail, blocks, bsize } = statfsSync(folder);
      const standard = Math.min(STANDARD_MIN_FREE_BYTES, blocks * bsize * STANDARD_PART);
      return { freeBytes: bavail * bsize, minBytes: wantedBytes ?? standard };
    } catch {
      return undefined; // no log yet
    }
  };

  const makeRoom = async ({ freeBytes, minBytes }: Room, isRotating: (path: string) => boolean) => {
    let gainedBytes = 0;
    // Some file systems give a file's room back only later.
    const isEnough = () => Math.max(room()?.freeBytes ?? 0, freeBytes + gainedBytes) >= minBytes;
    const why = `less than ${describeBytes(minBytes)} of its disk were free`;
    const found = await logsIn(folder);
    const removed: string[] = [];
    for (const { path, bytes } of oldestFirst(found.filter((one) => one.isOld))) {
      if (isEnough()) break;
      if (!(await isRemoved(path))) continue;
      gainedBytes += bytes;
      removed.push(path);
    }
    if (removed.length > 0) {
      const files = { removed: removed.length, oldest: removed.slice(0, TOLD_FILES), removed_bytes: gainedBytes };
      log.warn('Removed old logs', { why, free_bytes: freeBytes, ...files });
    }
    for (const { path, bytes } of largestFirst(found.filter((one) => !one.isOld))) {
      if (isEnough() || bytes < LEAST_BYTES) break;
      if (!isRotating(path)) gainedBytes += cutLog(path, log, why);
    }
    if (gainedBytes > 0) return;
    restUntilMs = performance.now() + AGAIN_MS;
    log.warn('The disk is nearly full, and not because of the logs', { why, free_bytes: freeBytes });
  };

  return {
    setMinFree(bytes) {
      wantedBytes = bytes;
      restUntilMs = 0;
    },
    look(isRotating) {
      const now = room();
      if (now === undefined) return false;
      const { freeBytes, minBytes } = now;
      const sunkBytes = (lastFreeBytes ?? freeBytes) - freeBytes;
      lastFreeBytes = freeBytes;
      if (freeBytes < minBytes && !isAtWork && performance.now() >= restUntilMs) {
        isAtWork = true;
        makeRoom(now, isRotating)
          .catch((error: unknown) => log.warn('Cannot make room by cutting logs', { folder, errno: errnoOf(error) }))
          .finally(() => {
            isAtWork = false;
          });
      }
      return sunkBytes > Math.max(0, freeBytes - minBytes) / 2;
    },
  };
}

/** Cuts a log to zero, in place, as its writer has it open. @returns how many bytes that were */
export function cutLog(path: string, log: Logger, why?: string): number {
  try {
    const fd = openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW);
    try {
      const lostBytes = fstatSync(fd).size;
      ftruncateSync(fd, 0);
      log.warn('Cut a log', { path, lost_bytes: lostBytes, ...(why === undefined ? {} : { why }) });
      if (why !== undefined) writeSync(fd, `[custodian: ${lostBytes} bytes of this log were cut here: ${why}]\n`);
      return lostBytes;
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    log.warn('Cannot cut a log', { path, errno: errnoOf(error) });
    return 0;
  }
}

const oldestFirst = (logs: FoundLog[]): FoundLog[] =>
  logs.toSorted((a, b) => a.changedMs - b.changedMs || b.bytes - a.bytes);
const largestFirst = (logs: FoundLog[]): FoundLog[] => logs.toSorted((a, b) => b.bytes - a.bytes);

async function logsIn(folder: string): Promise<FoundLog[]> {
  const found: FoundLog[] = [];
  for (const { name: agent } of await foldersIn(folder)) {
    const names = await readdir(join(folder, agent)).catch(() => []);
    const logs = names.flatMap((name) => {
      const [, generation, part] = /^(\d+)\.log(\.\d+)?$/.exec(name) ?? [];
      return generation === undefined ? [] : [{ name, generation: Number(generation), isPart: part !== undefined }];
    });
    const newest = Math.max(...logs.map(({ generation }) => generation));
    for (const { name, generation, isPart } of logs) {
      const path = join(folder, agent, name);
      const about = await lstat(path).catch(() => undefined);
      // A link there is none of ours.
      if (about?.isFile() !== true) continue;
      found.push({ path, bytes: about.size, changedMs: about.mtimeMs, isOld: isPart || generation < newest });
    }
  }
  return found;
}

const foldersIn = async (folder: string) =>
  (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory());

const isRemoved = (path: string): Promise<boolean> =>
  unlink(path).then(
    () => true,
    () => false,
  );
