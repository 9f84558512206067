import type { InjectedSinks } from '@temporalio/worker';
import type { Records, RecordUpdate } from '../ports/records.ts';
import type { RecordSinks } from '../workflows/records-sink.ts';
import { timely, type OnTrouble } from './timely.ts';

/** The same for incidents and runs. One that gets lost comes with the next, or when their upkeep asks for it. */
export function recordSinks(records: Pick<Records, 'publishRecord'>, onTrouble: OnTrouble): InjectedSinks<RecordSinks> {
  return {
    records: {
      publish: {
        fn: (_info: unknown, update: RecordUpdate) =>
          timely(`the ${update.kind} ${update.id}`, records.publishRecord(update), onTrouble),
      },
    },
  };
}
