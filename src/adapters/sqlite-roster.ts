import { Worker } from 'node:worker_threads';
import { CodedError } from '../contract/errors.ts';
import type { AnswerStore, KeptAnswer, AnswerNote } from '../ports/answer-store.ts';
import type { AgentTransition, HistoryEntry, Roster, RosterChange, RosterRow } from '../ports/roster.ts';
import type { CodedErrorLike, FromWorker, Operation, Request, WorkerData } from './sqlite-roster-worker.ts';

export interface SqliteRosterOptions {
  /** The compiled worker. Default: beside this module, or its compiled form when this module runs as TypeScript. */
  workerUrl?: URL;
  /** Told of what people should know, such as a corrupt file that was moved aside. Default: a process warning. */
  warn?: (message: string) => void;
  /** Test seam: the database may not grow beyond this. */
  maxBytes?: number;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: CodedError) => void;
}

/**
 * The roster in an SQLite file that a worker thread owns: SQLite is synchronous, and a slow disk must not hold up the
 * daemon. The answers to requests that may come again are in it too. Calls made in one tick go to the worker together and are committed together.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE
 */
export async function openSqliteRoster(file: string, options: SqliteRosterOptions = {}): Promise<Roster & AnswerStore> {
  const { warn = (message: string) => process.emitWarning(message), maxBytes } = options;
  const workerData: WorkerData = { file, ...(maxBytes === undefined ? {} : { maxBytes }) };
  // Flags of the main thread, such as --input-type, can keep a worker from starting.
  const worker = new Worker(options.workerUrl ?? defaultWorkerUrl(), { workerData, name: 'roster', execArgv: [] });

  const waiting = new Map<number, Waiting>();
  const listeners = new Set<(change: RosterChange) => void>();
  let outbox: Request[] = [];
  let lastId = 0;
  let ended: CodedError | undefined;

  function call(operation: Operation): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      outbox.push({ ...operation, id: lastId });
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

  function postAlone(request: Request): void {
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

  function notify(change: RosterChange): void {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        warn(`A listener of the roster failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  function end(error: CodedError): void {
    ended ??= error;
    for (const waiter of waiting.values()) waiter.reject(ended);
    waiting.clear();
  }

  const opened = new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      switch (message.kind) {
        case 'opened':
          return resolve();
        case 'failed':
          return reject(revive(message.error));
        case 'warning':
          return warn(message.message);
        case 'done':
          for (const change of message.changes) notify(change);
          for (const reply of message.replies) settle(reply.id, reply);
      }
    });
    worker.on('error', (error) => {
      end(new CodedError('INTERNAL', `The roster's thread failed: ${error.message}`, { file }, error));
      reject(ended);
    });
    worker.on('exit', () => {
      end(new CodedError('INTERNAL', `The roster ${file} is closed`, { file }));
      reject(ended);
    });
  });
  await opened;

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
    const done = call({ op: 'close' });
    ended = new CodedError('INTERNAL', `The roster ${file} is closed`, { file });
    return done.then(() => exited).then(() => listeners.clear());
  };

  return {
    publish: (decision) => call({ op: 'publish', decision }) as Promise<void>,
    recordProcess: (agentId, process) => call({ op: 'recordProcess', agentId, process }) as Promise<void>,
    get: (agentId) => call({ op: 'get', agentId }) as Promise<RosterRow | undefined>,
    list: () => call({ op: 'list' }) as Promise<RosterRow[]>,
    history: (agentId, page) => call({ op: 'history', agentId, page }) as Promise<HistoryEntry[]>,
    transitions: (page) => call({ op: 'transitions', page }) as Promise<AgentTransition[]>,
    latestTransition: () => call({ op: 'latestTransition' }) as Promise<number>,
    beginAnswer: (note) =>
      call({ op: 'beginAnswer', note }) as Promise<(AnswerNote & { answer: KeptAnswer | null }) | undefined>,
    keepAnswer: (scope, key, answer) => call({ op: 'keepAnswer', scope, key, answer }) as Promise<void>,
    dropAnswer: (scope, key) => call({ op: 'dropAnswer', scope, key }) as Promise<void>,
    remove: (agentId, { purge = false } = {}) => call({ op: 'remove', agentId, purge }) as Promise<void>,
    setFact: (name, value) => call({ op: 'setFact', name, value }) as Promise<void>,
    getFact: (name) => call({ op: 'getFact', name }) as Promise<string | undefined>,
    subscribe(listener) {
      // One entry a call: the same function may be subscribed twice.
      const entry = (change: RosterChange): void => listener(change);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    close: () => (closing ??= ended === undefined ? close() : Promise.resolve()),
  };
}

const revive = ({ code, message, details }: CodedErrorLike): CodedError => new CodedError(code, message, details);

function unsendable(error: unknown): CodedErrorLike {
  const message = `Not plain data: ${error instanceof Error ? error.message : String(error)}`;
  return { code: 'INTERNAL', message, details: {} };
}

/** Node 20 runs no TypeScript, and a worker does not inherit a test runner's loader: from source, take the build. */
function defaultWorkerUrl(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('../../dist/adapters/sqlite-roster-worker.js', import.meta.url)
    : new URL('./sqlite-roster-worker.js', import.meta.url);
}
