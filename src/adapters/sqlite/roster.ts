import type { AnswerStore, KeptAnswer, AnswerNote } from '../../ports/answer-store.ts';
import type { DeliveryNotes } from '../../ports/delivery-notes.ts';
import type { RecordRow, Records } from '../../ports/records.ts';
import type { AgentTransition, Decision, HistoryEntry, Roster, RosterChange, RosterRow } from '../../ports/roster.ts';
import { ROSTER } from './roster-schema.ts';
import type { RosterOperation, RosterThreadChange } from './roster-worker.ts';
import { createListeners, openThread, workerUrl } from './thread.ts';

export interface SqliteRosterOptions {
  /** Told of what people should know, such as a corrupt file that was moved aside. Default: a process warning. */
  warn?: (message: string) => void;
  /** Test seam: the database may not grow beyond this. */
  maxBytes?: number;
}

/**
 * The roster in an SQLite file that a thread of its own looks after. In it, too, are the answers to requests that may come
 * again, the records of incidents and runs, and what was delivered to people.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE
 */
export async function openSqliteRoster(
  file: string,
  options: SqliteRosterOptions = {},
): Promise<Roster & AnswerStore & Records & DeliveryNotes> {
  const { warn = (message: string) => process.emitWarning(message), maxBytes } = options;
  const listeners = createListeners<RosterChange>('roster', warn);
  const recordListeners = createListeners<RecordRow>('roster', warn);
  /** Of whom listeners think that they are there. */
  const known = new Set<string>();
  const tell = (change: RosterChange): void => {
    if (change.kind === 'row') known.add(change.row.agent_id);
    else known.delete(change.agent_id);
    listeners.tell(change);
  };
  const { call, close } = await openThread<RosterOperation, RosterThreadChange>({
    kind: ROSTER,
    file,
    workerUrl: workerUrl('roster-worker'),
    warn,
    changed: (change) => (change.kind === 'record' ? recordListeners.tell(change.record) : tell(change)),
    // Each of them may be done twice: decisions have an order, and what was seen of a process is merged.
    repeats: true,
    returned: () => ({ op: 'tellAll', known: [...known] }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
  for (const { agent_id } of (await call({ op: 'list' })) as RosterRow[]) known.add(agent_id);
  return {
    publish: (decision) => call({ op: 'publish', decision }) as Promise<void>,
    recordProcess: (agentId, process) => call({ op: 'recordProcess', agentId, process }) as Promise<void>,
    get: (agentId) => call({ op: 'get', agentId }) as Promise<RosterRow | undefined>,
    closing: (agentId) => call({ op: 'closing', agentId }) as Promise<Decision | undefined>,
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
    publishRecord: (update) => call({ op: 'publishRecord', update }) as Promise<void>,
    getRecord: (kind, id) => call({ op: 'getRecord', kind, id }) as Promise<RecordRow | undefined>,
    listRecords: (request) => call({ op: 'listRecords', request }) as Promise<RecordRow[]>,
    noteDelivered: (deliveryId, atMs) => call({ op: 'noteDelivered', deliveryId, atMs }) as Promise<void>,
    isDelivered: (deliveryId) => call({ op: 'isDelivered', deliveryId }) as Promise<boolean>,
    subscribe: listeners.add,
    subscribeRecords: recordListeners.add,
    close: () =>
      close().then(() => {
        listeners.clear();
        recordListeners.clear();
      }),
  };
}
