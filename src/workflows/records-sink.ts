/** Where workflows of finite things (incidents, runs) leave what became of them. */
import { proxySinks, type Sinks } from '@temporalio/workflow';
import type { RecordUpdate } from '../contract/record.ts';

export interface RecordSinks extends Sinks {
  records: { publish(update: RecordUpdate): void };
}

/** Writes no history event, is awaited before the workflow task completes, and never fails it. */
export const { records } = proxySinks<RecordSinks>();
