/** The thread that owns the roster's database. It answers requests in their order; see `sqlite-roster.ts`. */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import type { AnswerNote, KeptAnswer } from '../ports/answer-store.ts';
import type { Decision, ProcessFacts, RosterChange } from '../ports/roster.ts';
import type { CodedError } from '../contract/errors.ts';
import { createAnswerTable, type AnswerTable } from './sqlite-answers.ts';
import { isCorruption, openDatabase, storageError } from './sqlite-roster-database.ts';
import { createTable, type RosterTable } from './sqlite-roster-table.ts';

export interface WorkerData {
  file: string;
  maxBytes?: number;
}

export type Operation =
  | { op: 'publish'; decision: Decision }
  | { op: 'recordProcess'; agentId: string; process: ProcessFacts }
  | { op: 'get'; agentId: string }
  | { op: 'list' }
  | { op: 'history'; agentId: string; page: { limit: number; before?: number } }
  | { op: 'transitions'; page: { after: number; limit: number; agent_id?: string } }
  | { op: 'latestTransition' }
  | { op: 'beginAnswer'; note: AnswerNote }
  | { op: 'keepAnswer'; scope: string; key: string; answer: KeptAnswer }
  | { op: 'dropAnswer'; scope: string; key: string }
  | { op: 'remove'; agentId: string; purge: boolean }
  | { op: 'setFact'; name: string; value: string }
  | { op: 'getFact'; name: string }
  | { op: 'close' };
export type Request = Operation & { id: number };

export type Reply = { id: number; value: unknown } | { id: number; error: CodedErrorLike };
export type CodedErrorLike = Pick<CodedError, 'code' | 'message' | 'details'>;

export type FromWorker =
  | { kind: 'opened' }
  | { kind: 'failed'; error: CodedErrorLike }
  | { kind: 'warning'; message: string }
  /** Changes first, then the replies: who waits for a write finds every listener told of it. */
  | { kind: 'done'; changes: RosterChange[]; replies: Reply[] };

const PRUNE_EVERY_MS = 24 * 3600_000;

const { file, maxBytes } = workerData as WorkerData;
const port = parentPort as MessagePort;
const send = (message: FromWorker): void => port.postMessage(message);
const warn = (message: string): void => send({ kind: 'warning', message });

let changes: RosterChange[] = [];
let db: ReturnType<typeof openDatabase>;
let table: RosterTable;
let answers: AnswerTable;

function open(): void {
  db = openDatabase(file, { warn, ...(maxBytes === undefined ? {} : { maxBytes }) });
  table = createTable(db, (change) => changes.push(change));
  answers = createAnswerTable(db);
}

function prune(): void {
  try {
    table.prune(Date.now());
    answers.prune(Date.now());
  } catch (error) {
    warn(`Old transitions were not removed: ${storageError(file, error).message}`);
  }
}

function perform(request: Request): unknown {
  switch (request.op) {
    case 'publish':
      return table.publish(request.decision);
    case 'recordProcess':
      return table.recordProcess(request.agentId, request.process);
    case 'get':
      return table.get(request.agentId);
    case 'list':
      return table.list();
    case 'history':
      return table.history(request.agentId, request.page);
    case 'transitions':
      return table.transitions(request.page);
    case 'latestTransition':
      return table.latestTransition();
    case 'beginAnswer':
      return answers.begin(request.note);
    case 'keepAnswer':
      return answers.keep(request.scope, request.key, request.answer);
    case 'dropAnswer':
      return answers.drop(request.scope, request.key);
    case 'remove':
      return table.remove(request.agentId, request.purge);
    case 'setFact':
      return table.setFact(request.name, request.value);
    case 'getFact':
      return table.getFact(request.name);
    case 'close':
      return undefined;
  }
}

const READS: ReadonlySet<string> = new Set([
  'get',
  'list',
  'history',
  'transitions',
  'latestTransition',
  'getFact',
  'close',
]);

/** Performs the requests in one transaction; what it throws has left nothing behind. */
function transact(requests: Request[]): Reply[] {
  const writes = requests.some(({ op }) => !READS.has(op));
  const had = changes.length;
  if (writes) db.exec('BEGIN IMMEDIATE');
  try {
    const replies = requests.map((request) => ({ id: request.id, value: perform(request) }));
    if (writes) db.exec('COMMIT');
    return replies;
  } catch (error) {
    changes.length = had;
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** All in one transaction; should that fail, each in its own, so that one bad request costs the others nothing. */
function serve(requests: Request[]): Reply[] {
  try {
    return transact(requests);
  } catch (error) {
    if (isCorruption(error)) reopen();
    return requests.flatMap((request) => {
      try {
        return transact([request]);
      } catch (own) {
        const { code, message, details } = storageError(file, own);
        return [{ id: request.id, error: { code, message, details } }];
      }
    });
  }
}

function reopen(): void {
  try {
    db.close();
    open();
  } catch (error) {
    warn(storageError(file, error).message);
  }
}

function onMessage(first: Request[]): void {
  const requests = [...first];
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    requests.push(...(next.message as Request[]));
  }
  changes = [];
  const replies = serve(requests);
  const closing = requests.some(({ op }) => op === 'close');
  if (closing) db.close();
  send({ kind: 'done', changes, replies });
  if (closing) port.close();
}

try {
  open();
  prune();
  setInterval(prune, PRUNE_EVERY_MS).unref();
  port.on('message', onMessage);
  send({ kind: 'opened' });
} catch (error) {
  const { code, message, details } = storageError(file, error);
  send({ kind: 'failed', error: { code, message, details } });
}
