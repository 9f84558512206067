import type { RecordRow, Records } from '../../ports/records.ts';
import { recordOf } from './known-incident.ts';

/** Resolves when people have been notified why everything stops, or when it is known that nobody can be. It never rejects. */
export function untilFailStopTold(records: Records, agentId: string): Promise<void> {
  return new Promise((resolve) => {
    const look = (row: RecordRow): void => {
      if (!isTold(row, agentId)) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = records.subscribeRecords(look);
    records.listRecords({ kind: 'incident', done: false, agent_id: agentId, limit: 100 }).then(
      (rows) => {
        for (const row of rows) look(row);
      },
      () => undefined, // then there is only what is yet to come
    );
  });
}

function isTold(row: RecordRow, agentId: string): boolean {
  const record = row.agent_id === agentId ? recordOf(row) : undefined;
  if (record?.kind !== 'fail_stop' || record.state === 'resolved') return false;
  const { told, escalation, deliveries } = record.restore;
  // All that can be done has been: delivered, nobody there, or failed and to be tried again later.
  const isDone = escalation.stage === 'people' && escalation.dueMs !== null;
  return told.people || isDone || deliveries.some(({ state }) => state === 'skipped') || record.state !== 'open';
}
