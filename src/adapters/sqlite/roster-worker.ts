/** The thread that owns the roster's database; see `roster.ts`. */
import type { AnswerNote, KeptAnswer } from '../../ports/answer-store.ts';
import type { RecordKind, RecordRow, RecordsRequest, RecordUpdate } from '../../ports/records.ts';
import type { Decision, ProcessFacts, RosterChange } from '../../ports/roster.ts';
import { createAnswerTable } from './answers.ts';
import { createRecordTable } from './records.ts';
import { ROSTER } from './roster-schema.ts';
import { createTable } from './roster-table.ts';
import { serveStore } from './thread-worker.ts';

export type RosterOperation =
  | { op: 'publish'; decision: Decision }
  | { op: 'recordProcess'; agentId: string; process: ProcessFacts }
  | { op: 'get'; agentId: string }
  | { op: 'closing'; agentId: string }
  | { op: 'list' }
  | { op: 'history'; agentId: string; page: { limit: number; before?: number } }
  | { op: 'transitions'; page: { after: number; limit: number; agent_id?: string } }
  | { op: 'latestTransition' }
  | { op: 'beginAnswer'; note: AnswerNote }
  | { op: 'keepAnswer'; scope: string; key: string; answer: KeptAnswer }
  | { op: 'dropAnswer'; scope: string; key: string }
  | { op: 'publishRecord'; update: RecordUpdate }
  | { op: 'getRecord'; kind: RecordKind; id: string }
  | { op: 'listRecords'; request: RecordsRequest }
  | { op: 'noteDelivered'; deliveryId: string; atMs: number }
  | { op: 'isDelivered'; deliveryId: string }
  | { op: 'remove'; agentId: string; purge: boolean }
  | { op: 'setFact'; name: string; value: string }
  | { op: 'getFact'; name: string }
  /** The last notifications may be lost. `known`: agents that are thought to be there. */
  | { op: 'tellAll'; known: readonly string[] };

/** A change of the roster or of a record. */
export type RosterThreadChange = RosterChange | { kind: 'record'; record: RecordRow };

const READS: ReadonlySet<string> = new Set([
  'get',
  'closing',
  'list',
  'history',
  'transitions',
  'latestTransition',
  'getFact',
  'getRecord',
  'listRecords',
  'isDelivered',
  'tellAll',
]);

serveStore<RosterOperation, RosterThreadChange>(ROSTER, (db) => {
  let changes: RosterThreadChange[] = [];
  const table = createTable(db, (change) => changes.push(change));
  const answers = createAnswerTable(db);
  const records = createRecordTable(db, (record) => changes.push({ kind: 'record', record }));

  function perform(request: RosterOperation): unknown {
    switch (request.op) {
      case 'publish':
        return table.publish(request.decision);
      case 'recordProcess':
        return table.recordProcess(request.agentId, request.process);
      case 'get':
        return table.get(request.agentId);
      case 'closing':
        return table.closing(request.agentId);
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
      case 'publishRecord':
        return records.publish(request.update);
      case 'getRecord':
        return records.get(request.kind, request.id);
      case 'listRecords':
        return records.list(request.request);
      case 'noteDelivered':
        return records.noteDelivered(request.deliveryId, request.atMs);
      case 'isDelivered':
        return records.isDelivered(request.deliveryId);
      case 'remove':
        return table.remove(request.agentId, request.purge);
      case 'setFact':
        return table.setFact(request.name, request.value);
      case 'getFact':
        return table.getFact(request.name);
      case 'tellAll':
        records.tellLatest(Date.now());
        return table.tellAll(request.known);
    }
  }

  return {
    perform,
    isRead: ({ op }) => READS.has(op),
    takeChanges() {
      const taken = changes;
      changes = [];
      return taken;
    },
    prune(nowMs) {
      table.prune(nowMs);
      answers.prune(nowMs);
      records.prune(nowMs);
    },
  };
});
