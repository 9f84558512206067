import type { RecordKind, RecordRow, Records } from '../ports/records.ts';
import { Watch } from './watch.ts';

/** Follows one record. */
export const watchRecord = (records: Records, kind: RecordKind, id: string): Promise<Watch<RecordRow | undefined>> =>
  Watch.open<RecordRow | undefined>({
    subscribe: (tell) =>
      records.subscribeRecords((row) => {
        if (row.kind === kind && row.id === id) tell(row);
      }),
    read: () => records.getRecord(kind, id),
  });
