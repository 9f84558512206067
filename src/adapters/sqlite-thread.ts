import { Worker } from 'node:worker_threads';
import { CodedError } from '../contract/errors.ts';
import type { DatabaseKind } from './sqlite-database.ts';
import type { CodedErrorLike, FromWorker, Request, WorkerData } from './sqlite-thread-worker.ts';

export interface ThreadOptions<Change> {
  kind: Pick<DatabaseKind, 'what' | 'failed'>;
  file: string;
  /** The compiled worker, as `workerUrl` finds it. */
  workerUrl: URL;
  /** Plain data for the store. */
  options?: unknown;
  /** Test seam: the database may not grow beyond this. */
  maxBytes?: number;
  warn: (message: string) => void;
  changed?: (change: Change) => void;
  /** When the store wants to be called by itself, epoch milliseconds; after each batch. */
  due?: (dueMs: number | null) => void;
}

export interface Thread<Operation> {
  call(operation: Operation): Promise<unknown>;
  /** Waits for what is under way; without a deadline, as long as it takes. @returns how many calls were given up */
  close(deadlineMs?: number): Promise<{ unsent: number }>;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: CodedError) => void;
}

/**
 * A database in a worker thread of its own: SQLite is synchronous, and a slow disk must not hold up the daemon. Calls made in
 * one tick go to the thread together and are committed together.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE, PLUGIN_FAILED
 */
export async function openThread<Operation, Change>(options: ThreadOptions<Change>): Promise<Thread<Operation>> {
  const { kind, file, workerUrl, maxBytes, warn, changed, due } = options;
  const workerData: WorkerData = { file, options: options.options, ...(maxBytes === undefined ? {} : { maxBytes }) };
  // Flags of the main thread, such as --input-type, can keep a worker from starting.
  const worker = new Worker(workerUrl, { workerData, name: kind.what, execArgv: [] });

  const waiting = new Map<number, Waiting>();
  let outbox: Request<Operation>[] = [];
  let lastId = 0;
  let ended: CodedError | undefined;
  const failure = (says: string, cause?: unknown): CodedError =>
    new CodedError(kind.failed, `The ${kind.what} ${file} ${says}`, { file }, cause);

  function call(operation: Operation | { op: 'close' }): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      outbox.push({ id: lastId, operation });
      if (outbox.length === 1) queueMicrotask(flush);
    });
  }

  function flush(): void {
    const requests = outbox;
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

  function end(error: CodedError): void {
    ended ??= error;
    for (const waiter of waiting.values()) waiter.reject(ended);
    waiting.clear();
  }

  const opened = new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromWorker<Change>) => {
      switch (message.kind) {
        case 'opened':
          due?.(message.dueMs);
          return resolve();
        case 'failed':
          return reject(revive(message.error));
        case 'warning':
          return warn(message.message);
        case 'done':
          for (const change of message.changes) changed?.(change);
          for (const reply of message.replies) settle(reply.id, reply);
          due?.(message.dueMs);
      }
    });
    worker.on('error', (error) => {
      end(failure(`failed: its thread ended with ${error.message}`, error));
      reject(ended);
    });
    worker.on('exit', () => {
      end(failure('is closed'));
      reject(ended);
    });
  });
  await opened;

  let closing: Promise<{ unsent: number }> | undefined;
  async function close(deadlineMs?: number): Promise<{ unsent: number }> {
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
    const unsent = waiting.size - 1; // without `close` itself
    end(failure('was closed before this was done; it may have been done'));
    void worker.terminate(); // not awaited: it may be the disk that hangs
    return { unsent };
  }

  return {
    call,
    close: (deadlineMs) => (closing ??= ended === undefined ? close(deadlineMs) : Promise.resolve({ unsent: 0 })),
  };
}

/** Those who are told of changes; one that throws costs the others nothing. */
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
    ? new URL(`../../dist/adapters/${name}.js`, import.meta.url)
    : new URL(`./${name}.js`, import.meta.url);
}

const revive = ({ code, message, details }: CodedErrorLike): CodedError => new CodedError(code, message, details);

function unsendable(error: unknown): CodedErrorLike {
  const message = `Not plain data: ${error instanceof Error ? error.message : String(error)}`;
  return { code: 'INTERNAL', message, details: {} };
}
