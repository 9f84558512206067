import type { Worker } from 'node:worker_threads';
import { CodedError } from '../../contract/errors.ts';
import type { DatabaseKind } from './database.ts';
import { beginThread, revive, type ThreadLife } from './thread-life.ts';
import type { CodedErrorLike, FromWorker, Request, WorkerData } from './thread-worker.ts';

export interface ThreadOptions<Operation, Change> {
  kind: Pick<DatabaseKind, 'what' | 'failed'>;
  file: string;
  /** The compiled worker, as `workerUrl` finds it. */
  workerUrl: URL;
  /** Plain data for the store. */
  options?: unknown;
  /** The database may not grow beyond this. */
  maxBytes?: number;
  warn: (message: string) => void;
  changed?: (change: Change) => void;
  /** When the store wants to be called by itself, epoch milliseconds; after each batch. */
  due?: (dueMs: number | null) => void;
  /**
   * True if no operation does harm when it is done twice. Then those that were under way when the thread died, and those that
   * come while it is away, wait for it, in their order. @default false: they are refused, and their callers ask again
   */
  repeats?: boolean;
  /** The thread is back after it had died: its last notifications may be lost. @returns what is to be done first */
  returned?: () => Operation | void;
}

export interface Thread<Operation> {
  call(operation: Operation): Promise<unknown>;
  /** Waits for what is under way; without a deadline, as long as it takes. @returns how many calls were given up */
  close(deadlineMs?: number): Promise<{ unsent: number }>;
}

interface Waiting<Operation> {
  operation: Operation | { op: 'close' };
  /** It was under way before, when the thread died: perhaps because of it. */
  isSecond: boolean;
  resolve: (value: unknown) => void;
  reject: (error: CodedError) => void;
}

/** From the death of the thread until it is back. */
interface Outage {
  sinceMs: number;
  why: string;
  timer: NodeJS.Timeout | undefined;
  /** Until then calls wait, where they may. */
  patience: NodeJS.Timeout | undefined;
}

/** Between two attempts to open a database whose thread has died; doubled each time. */
const REOPEN_MS = { first: 100, max: 5_000 };
/** How long repeatable calls wait for a thread that is being restarted. */
const PATIENCE_MS = 10_000;

/**
 * A database in a worker thread of its own: SQLite is synchronous, and a slow disk must not hold up the daemon. Calls made in
 * one tick go to the thread together and are committed together. A thread that dies (an error that nobody has caught, no
 * memory left) is begun again: what was answered is on the disk, and what was not may have been done.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE, PLUGIN_FAILED
 */
export async function openThread<Operation, Change>(
  options: ThreadOptions<Operation, Change>,
): Promise<Thread<Operation>> {
  const { kind, file, maxBytes, warn, changed, due, repeats = false, returned } = options;
  const data: WorkerData = { file, options: options.options, ...(maxBytes === undefined ? {} : { maxBytes }) };
  const waiting = new Map<number, Waiting<Operation>>();
  let outbox: Request<Operation>[] = [];
  let lastId = 0;
  /** Why nothing is taken any more. */
  let ended: CodedError | undefined;
  let outage: Outage | undefined;
  let openedMs = 0;
  let reopenMs = REOPEN_MS.first;

  const failure = (says: string): CodedError =>
    new CodedError(kind.failed, `The ${kind.what} ${file} ${says}`, { file });
  const begin = (): ThreadLife =>
    beginThread({ name: kind.what, url: options.workerUrl, data, told, ended: (why) => died(why) });

  function call(operation: Operation | { op: 'close' }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      if (outage !== undefined && outage.patience === undefined) return reject(away(outage));
      lastId += 1;
      waiting.set(lastId, { operation, isSecond: false, resolve, reject });
      if (outage !== undefined) return;
      outbox.push({ id: lastId, operation });
      if (outbox.length === 1) queueMicrotask(flush);
    });
  }

  function flush(): void {
    const requests = outbox;
    if (requests.length === 0) return;
    outbox = [];
    try {
      worker.postMessage(requests);
    } catch {
      // Something in it cannot be copied to another thread. What came in the same tick must not suffer for it.
      for (const request of requests) postAlone(request);
    }
  }

  function postAlone(request: Request<Operation>): void {
    try {
      worker.postMessage([request]);
    } catch (error) {
      settle(request.id, { error: unsendable(error) });
    }
  }

  function settle(id: number, outcome: { value: unknown } | { error: CodedErrorLike }): void {
    const waiter = waiting.get(id);
    waiting.delete(id);
    if ('error' in outcome) waiter?.reject(revive(outcome.error));
    else waiter?.resolve(outcome.value);
  }

  function refuseAll(error: CodedError): void {
    for (const waiter of waiting.values()) waiter.reject(error);
    waiting.clear();
  }

  function end(error: CodedError): void {
    ended ??= error;
    refuseAll(ended);
  }

  function told(message: FromWorker<Change>): void {
    if (message.kind === 'warning') warn(message.message);
    if (message.kind !== 'done') return;
    for (const change of message.changes) changed?.(change);
    for (const reply of message.replies) settle(reply.id, reply);
    due?.(message.dueMs);
  }

  function died(why: string): void {
    if (ended !== undefined) return end(ended);
    warn(`The ${kind.what} ${file} failed: ${why}. It is being opened again`);
    outbox = [];
    for (const [id, waiter] of waiting) {
      const isKept = repeats && !waiter.isSecond;
      waiter.isSecond = true;
      if (isKept) continue;
      waiting.delete(id);
      waiter.reject(
        failure(`failed: ${why}. This may have been done or not; it is being opened again: try again in a moment`),
      );
    }
    if (performance.now() - openedMs >= REOPEN_MS.max) reopenMs = REOPEN_MS.first;
    outage = { sinceMs: performance.now(), why, timer: undefined, patience: undefined };
    if (repeats) outage.patience = setTimeout(losePatience, PATIENCE_MS, outage);
    reopenLater(outage);
  }

  const away = ({ why }: Outage): CodedError => failure(`is being opened again (${why}): try again in a moment`);

  function losePatience(of: Outage): void {
    of.patience = undefined;
    refuseAll(away(of));
  }

  function reopenLater(of: Outage): void {
    of.timer = setTimeout(reopen, reopenMs, of);
    reopenMs = Math.min(reopenMs * 2, REOPEN_MS.max);
  }

  function reopen(of: Outage): void {
    const life = begin();
    worker = life.worker;
    life.opened.then(
      (dueMs) => {
        if (ended === undefined) isBack(of, dueMs);
        else void life.worker.terminate();
      },
      (error: unknown) => {
        if (ended !== undefined) return;
        const why = error instanceof Error ? error.message : String(error);
        if (why !== of.why)
          warn(`The ${kind.what} ${file} cannot be opened again: ${why}. It is tried again and again`);
        of.why = why;
        reopenLater(of);
      },
    );
  }

  function isBack(of: Outage, dueMs: number | null): void {
    clearTimeout(of.patience);
    outage = undefined;
    openedMs = performance.now();
    warn(`The ${kind.what} ${file} is open again, after ${((openedMs - of.sinceMs) / 1000).toFixed(1)} s`);
    outbox = [...waiting].map(([id, { operation }]) => ({ id, operation }));
    const first = returned?.();
    if (first) outbox.unshift({ id: 0, operation: first });
    flush();
    due?.(dueMs);
  }

  const firstLife = begin();
  let worker: Worker = firstLife.worker;
  const dueMs = await firstLife.opened.catch((error: unknown) => {
    throw error instanceof CodedError ? error : failure(`cannot be opened: ${(error as Error).message}`);
  });
  openedMs = performance.now();
  due?.(dueMs);

  let closing: Promise<{ unsent: number }> | undefined;
  async function close(deadlineMs?: number): Promise<{ unsent: number }> {
    if (outage !== undefined) return closeAway(outage);
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const closed = call({ op: 'close' }).then(() => exited);
    ended = failure('is closed');
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      if (deadlineMs !== undefined) timer = setTimeout(resolve, deadlineMs, 'late');
    });
    // A thread that dies meanwhile has rejected every call; there is nothing to wait for.
    const outcome = await Promise.race([closed.catch(() => undefined), late]);
    clearTimeout(timer);
    if (outcome !== 'late') return { unsent: 0 };
    return giveUp(waiting.size - 1); // without `close` itself
  }

  function closeAway({ timer, patience }: Outage): { unsent: number } {
    clearTimeout(timer);
    clearTimeout(patience);
    ended = failure('is closed');
    return giveUp(waiting.size);
  }

  function giveUp(unsent: number): { unsent: number } {
    refuseAll(failure('was closed before this was done; it may have been done'));
    void worker.terminate(); // not awaited: it may be the disk that hangs
    return { unsent };
  }

  return { call, close: (deadlineMs) => (closing ??= close(deadlineMs)) };
}

/** Listeners for changes; one that throws costs the others nothing. */
export function createListeners<Change>(what: string, warn: (message: string) => void) {
  const listeners = new Set<(change: Change) => void>();
  return {
    tell(change: Change): void {
      for (const listener of listeners) {
        try {
          listener(change);
        } catch (error) {
          warn(`A listener of the ${what} failed: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
    },
    add(listener: (change: Change) => void): () => void {
      // One entry a call: the same function may be subscribed twice.
      const entry = (change: Change): void => listener(change);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    clear: (): void => listeners.clear(),
  };
}

/** Node 20 runs no TypeScript, and a worker does not inherit a test runner's loader: from source, take the build. */
export function workerUrl(name: string): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL(`../../../dist/adapters/sqlite/${name}.js`, import.meta.url)
    : new URL(`./${name}.js`, import.meta.url);
}

function unsendable(error: unknown): CodedErrorLike {
  const message = `Not plain data: ${error instanceof Error ? error.message : String(error)}`;
  return { code: 'INTERNAL', message, details: {} };
}
