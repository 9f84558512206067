import type { AnswerStore, KeptAnswer, AnswerNote } from '../ports/answer-store.ts';
import type { AgentTransition, HistoryEntry, Roster, RosterChange, RosterRow } from '../ports/roster.ts';
import { ROSTER } from './sqlite-roster-schema.ts';
import type { RosterOperation } from './sqlite-roster-worker.ts';
import { createListeners, openThread, workerUrl } from './sqlite-thread.ts';

export interface SqliteRosterOptions {
  /** Told of what people should know, such as a corrupt file that was moved aside. Default: a process warning. */
  warn?: (message: string) => void;
  /** Test seam: the database may not grow beyond this. */
  maxBytes?: number;
}

/**
 * The roster in an SQLite file that a thread of its own looks after. The answers to requests that may come again are in it too.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE
 */
export async function openSqliteRoster(file: string, options: SqliteRosterOptions = {}): Promise<Roster & AnswerStore> {
  const { warn = (message: string) => process.emitWarning(message), maxBytes } = options;
  const listeners = createListeners<RosterChange>('roster', warn);
  const { call, close } = await openThread<RosterOperation, RosterChange>({
    kind: ROSTER,
    file,
    workerUrl: workerUrl('sqlite-roster-worker'),
    warn,
    changed: listeners.tell,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });
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
    subscribe: listeners.add,
    close: () => close().then(listeners.clear),
  };
}
