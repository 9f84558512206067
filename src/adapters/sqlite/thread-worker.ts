/** The thread's side of `thread.ts`: it owns one database and answers requests in their order. */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import type Database from 'libsql';
import { CodedError } from '../../contract/errors.ts';
import { type DatabaseKind, isCorruption, openDatabase, storageError } from './database.ts';

export interface WorkerData {
  file: string;
  maxBytes?: number;
  /** What the store is opened with: plain data. */
  options: unknown;
}

/** `id` 0: nobody waits for an answer. */
export type Request<Operation> = { id: number; operation: Operation | { op: 'close' } };
export type Reply = { id: number; value: unknown } | { id: number; error: CodedErrorLike };
export type CodedErrorLike = Pick<CodedError, 'code' | 'message' | 'details'>;

export type FromWorker<Change> =
  | { kind: 'opened'; dueMs: number | null }
  | { kind: 'failed'; error: CodedErrorLike }
  | { kind: 'warning'; message: string }
  /** Changes first, then the replies: when a write is answered, every listener has been notified. */
  | { kind: 'done'; changes: Change[]; replies: Reply[]; dueMs: number | null };

/** What is done on an open database; synchronous, each operation within whatever transaction is open. */
export interface Store<Operation, Change> {
  /**
   * A CodedError that it throws is an answer: nothing may have been written before it. Anything else takes back all of
   * the transaction.
   */
  perform(operation: Operation): unknown;
  isRead(operation: Operation): boolean;
  /** For the listeners, after the commit; emptied by this call. */
  takeChanges(): Change[];
  /** What is to be done before these, such as leases that have run out. */
  upkeep?(operations: readonly Operation[]): Operation[];
  /** Writes what is kept in memory meanwhile. */
  beforeCommit?(): void;
  /** What is kept in memory is not true any more; it is to be read again in the next transaction. */
  rolledBack?(): void;
  /** First thing in a transaction. */
  begin?(): void;
  /** When it wants to be called by itself, epoch milliseconds. */
  dueMs?(): number | null;
  /** At the opening, and once a day. */
  prune?(nowMs: number): void;
}

/**
 * Returned by `perform` for what is too much for one transaction: the rest follows in the next one, together with what has
 * come meanwhile, so that nobody waits for a thousand others.
 */
export class Unfinished<Operation> {
  readonly rest: Operation;

  constructor(rest: Operation) {
    this.rest = rest;
  }
}

const PRUNE_EVERY_MS = 24 * 3600_000;

/** Opens the database of this thread and serves its main thread until it is closed. */
export function serveStore<Operation extends { op: string }, Change>(
  kind: DatabaseKind,
  createStore: (db: Database.Database, options: unknown) => Store<Operation, Change>,
): void {
  const { file, maxBytes, options } = workerData as WorkerData;
  const port = parentPort as MessagePort;
  const send = (message: FromWorker<Change>): void => port.postMessage(message);
  const warn = (message: string): void => send({ kind: 'warning', message });

  let db: Database.Database;
  let store: Store<Operation, Change>;
  let told = '';
  /** What goes on in the next transaction. */
  let unfinished: Request<Operation>[] = [];

  function open(): void {
    db = openDatabase(kind, file, { warn, ...(maxBytes === undefined ? {} : { maxBytes }) });
    store = createStore(db, options);
  }

  function prune(): void {
    try {
      store.prune?.(Date.now());
    } catch (error) {
      warn(`The ${kind.what} was not cleared of what is old: ${storageError(kind, file, error).message}`);
    }
  }

  function perform({ id, operation }: Request<Operation>, rest: Request<Operation>[]): Reply[] {
    if (operation.op === 'close') return [];
    try {
      const value = store.perform(operation as Operation);
      if (value instanceof Unfinished) rest.push({ id, operation: value.rest as Operation });
      else return [{ id, value }];
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return [{ id, error: plain(error) }];
    }
    return [];
  }

  /** Performs the requests in one transaction; what it throws has left nothing behind. */
  function transact(requests: Request<Operation>[]): Reply[] {
    const writes = requests.some(({ operation }) => operation.op !== 'close' && !store.isRead(operation as Operation));
    const rest: Request<Operation>[] = [];
    if (writes) db.exec('BEGIN IMMEDIATE');
    try {
      store.begin?.();
      const replies = requests.flatMap((request) => perform(request, rest));
      store.beforeCommit?.();
      if (writes) db.exec('COMMIT');
      unfinished.push(...rest);
      return replies;
    } catch (error) {
      store.takeChanges();
      store.rolledBack?.();
      if (db.inTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  /** All in one transaction; should that fail, each in its own, so that one bad request costs the others nothing. */
  function serve(requests: Request<Operation>[]): { replies: Reply[]; changes: Change[] } {
    try {
      const replies = transact(requests);
      return { replies, changes: store.takeChanges() };
    } catch (error) {
      if (isCorruption(error)) damaged(error);
    }
    const replies: Reply[] = [];
    const changes: Change[] = [];
    for (const request of requests) {
      try {
        replies.push(...transact([request]));
        changes.push(...store.takeChanges());
      } catch (error) {
        const { id } = request;
        const refusal = storageError(kind, file, error);
        if (id === 0) tellOnce(refusal.message);
        else replies.push({ id, error: plain(refusal) });
      }
    }
    return { replies, changes };
  }

  /** Upkeep that fails is tried again and again. */
  function tellOnce(message: string): void {
    if (message !== told) warn(message);
    told = message;
  }

  function damaged(error: unknown): void {
    if (kind.unusable === 'refuse') return warn(storageError(kind, file, error).message);
    try {
      db.close();
      open();
    } catch (error) {
      warn(storageError(kind, file, error).message);
    }
  }

  function upkeep(requests: readonly Request<Operation>[]): Request<Operation>[] {
    const operations = requests.flatMap(({ operation }) => (operation.op === 'close' ? [] : [operation as Operation]));
    return store.upkeep?.(operations).map((operation) => ({ id: 0, operation })) ?? [];
  }

  function run(first: Request<Operation>[]): void {
    const arrived = [...first];
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      arrived.push(...(next.message as Request<Operation>[]));
    }
    const begun = unfinished;
    unfinished = [];
    const { replies, changes } = serve([...upkeep(arrived), ...begun, ...arrived]);
    const answers = replies.filter(({ id }) => id !== 0);
    const closing = arrived.find(({ operation }) => operation.op === 'close');
    if (closing !== undefined) return close(closing.id, changes, answers);
    send({ kind: 'done', changes, replies: answers, dueMs: dueMs() });
    if (unfinished.length > 0) setImmediate(() => run([]));
  }

  const dueMs = (): number | null => store.dueMs?.() ?? null;

  function close(id: number, changes: Change[], replies: Reply[]): void {
    while (unfinished.length > 0) {
      const begun = unfinished;
      unfinished = [];
      replies.push(...serve(begun).replies);
    }
    db.close();
    send({ kind: 'done', changes, replies: [...replies, { id, value: undefined }], dueMs: null });
    port.close();
  }

  try {
    open();
    prune();
    setInterval(prune, PRUNE_EVERY_MS).unref();
    port.on('message', run);
    send({ kind: 'opened', dueMs: dueMs() });
  } catch (error) {
    send({ kind: 'failed', error: plain(storageError(kind, file, error)) });
  }
}

const plain = ({ code, message, details }: CodedError): CodedErrorLike => ({ code, message, details });
