import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { evolve, isExpired } from './custody-state.ts';
import type { AgentEntry, AgentRecord, JournalRecord } from './custody-state.ts';
import { decodeJournal, encodeLine } from './journal-line.ts';
import { errnoOf, messageOf } from '../logger.ts';
import type { Logger } from '../logger.ts';

/**
 * The custody journal: what is in `entries` is what its lines add up to. A plain append is not synced to the disk: a
 * `kill -9` loses no page cache, and after a power loss every process is dead and the boot id says so.
 */
export interface Journal {
  readonly entries: ReadonlyMap<string, AgentEntry>;
  /** False if there was no file, or some of it could not be read: what lives may not stand in it. */
  readonly isWhole: boolean;
  /** Writes and applies a record, or throws and has done neither. */
  append(record: AgentRecord): void;
  /** Applies records in any case; those that the disk does not take now are kept in memory and tried again. */
  keep(records: AgentRecord[]): void;
  /**
   * Resolves once all that was written before is on the disk; calls of the same time share one sync. False if the disk
   * did not take it: then nobody knows what of it is there after a power loss.
   */
  sync(): Promise<boolean>;
  close(): void;
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
const COMPACT_FROM_BYTES = 1024 * 1024;
const RETRY_MS = 1000;

export function openJournal(path: string, opened: Extract<JournalRecord, { kind: 'opened' }>, log: Logger): Journal {
  const entries = new Map<string, AgentEntry>();
  let fd = -1;
  let sizeBytes = 0;
  let compactAtBytes = COMPACT_FROM_BYTES;
  let backlog: AgentRecord[] = [];
  let retryTimer: NodeJS.Timeout | undefined;
  let fdBusy = false;
  const staleFds: number[] = [];
  let waiting: ((isOnDisk: boolean) => void)[] = [];

  const apply = (record: AgentRecord) => {
    const next = evolve(entries.get(record.agent), record);
    if (next === undefined) entries.delete(record.agent);
    else entries.set(record.agent, next);
  };

  /** Whole or not at all: what a full disk took of it is cut off again. */
  const write = (text: string) => {
    const bytes = Buffer.from(text);
    let done = 0;
    try {
      while (done < bytes.length) done += writeSync(fd, bytes, done);
      sizeBytes += done;
    } catch (error) {
      try {
        ftruncateSync(fd, sizeBytes);
      } catch {
        // the piece stays; the newline before the next line makes it a damaged line of its own
        sizeBytes += done;
      }
      throw error;
    }
  };

  const compact = () => {
    const nowMs = Date.now();
    for (const [agent, entry] of entries) if (isExpired(entry, nowMs)) entries.delete(agent);
    let text = encodeLine(opened);
    for (const [agent, entry] of entries) text += encodeLine({ kind: 'entry', agent, entry });
    const bytes = Buffer.from(text);
    const next = openSync(`${path}.next`, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0o600);
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(next, bytes, done);
      fsyncSync(next);
      renameSync(`${path}.next`, path);
    } catch (error) {
      closeSync(next);
      throw error;
    }
    // From here on the old file has no name: whatever fails now, nothing more may be written into it.
    // A descriptor that a running sync still uses is closed after it, lest its number be given to another file.
    if (fd >= 0 && fdBusy) staleFds.push(fd);
    else if (fd >= 0) closeSync(fd);
    fd = next;
    sizeBytes = bytes.length;
    compactAtBytes = Math.max(COMPACT_FROM_BYTES, sizeBytes * 4);
    // The snapshot holds the backlog too: it was applied.
    backlog = [];
    syncFolder(dirname(path));
  };

  const tryCompact = () => {
    try {
      compact();
      return true;
    } catch (error) {
      log.warn('Cannot compact the custody journal, going on with the long one', {
        errno: errnoOf(error),
        error: messageOf(error),
      });
      compactAtBytes = sizeBytes + COMPACT_FROM_BYTES;
      return false;
    }
  };

  const flushBacklog = () => {
    if (backlog.length === 0) return;
    write(`\n${backlog.map(encodeLine).join('')}`);
    log.info('The custody journal takes records again', { kept: backlog.length });
    backlog = [];
  };

  const retryLater = () => {
    retryTimer ??= setTimeout(() => {
      retryTimer = undefined;
      try {
        flushBacklog();
        void sync();
      } catch {
        retryLater();
      }
    }, RETRY_MS);
  };

  const sync = (): Promise<boolean> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (!fdBusy) runSync();
    });
  const runSync = () => {
    const served = waiting;
    waiting = [];
    fdBusy = true;
    fdatasync(fd, (error) => {
      fdBusy = false;
      for (const stale of staleFds.splice(0)) closeSync(stale);
      if (error) log.error('Cannot sync the custody journal', { errno: errnoOf(error), error: messageOf(error) });
      for (const resolve of served) resolve(!error);
      if (waiting.length > 0 && !fdBusy) runSync();
    });
  };

  const text = readWhole(path);
  const { records, damagedLines, tornBytes } = decodeJournal(text);
  for (const record of records) if (record.kind !== 'opened') apply(record);
  if (tornBytes > 0) log.warn('Dropped the torn end of the custody journal', { bytes: tornBytes });
  if (damagedLines > 0) {
    log.error('The custody journal is damaged; kept what is readable', {
      damaged_lines: damagedLines,
      records: records.length,
    });
    keepCopy(path, text, log);
  }
  if (!tryCompact()) {
    fd = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
    sizeBytes = fstatSync(fd).size;
    // ends a torn line, so that the next one stands alone
    try {
      write('\n');
    } catch {
      retryLater();
    }
  }

  return {
    entries,
    isWhole: records[0]?.kind === 'opened' && damagedLines === 0 && tornBytes === 0,
    append(record) {
      flushBacklog();
      write(encodeLine(record));
      apply(record);
      if (sizeBytes > compactAtBytes) tryCompact();
    },
    keep(kept) {
      if (kept.length === 0) return;
      for (const record of kept) apply(record);
      try {
        flushBacklog();
        write(kept.map(encodeLine).join(''));
      } catch (error) {
        if (backlog.length === 0)
          log.error('Cannot write the custody journal, keeping records in memory', { errno: errnoOf(error) });
        backlog.push(...kept);
        retryLater();
        return;
      }
      if (sizeBytes > compactAtBytes) tryCompact();
    },
    sync,
    close() {
      clearTimeout(retryTimer);
      try {
        flushBacklog();
        fsyncSync(fd);
      } catch (error) {
        log.error('Cannot finish the custody journal', { errno: errnoOf(error) });
      }
      if (!fdBusy) closeSync(fd);
    },
  };
}

function readWhole(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}

function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch {
    // some file systems cannot sync a folder; the rename is then as safe as they make it
  }
}

/** The damaged journal stays beside the mended one, for inspection. */
function keepCopy(path: string, text: string, log: Logger): void {
  try {
    const fd = openSync(`${path}.damaged`, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
    writeSync(fd, text);
    closeSync(fd);
  } catch (error) {
    log.warn('Cannot keep a copy of the damaged journal', { errno: errnoOf(error) });
  }
}
