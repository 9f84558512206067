import type { RecordKind, RecordUpdate } from '../contract/record.ts';

export type { RecordKind, RecordUpdate };

/**
 * What becomes of finite things (incidents, runs), as everybody reads it: their workflows publish each change here, as those
 * of agents do in the roster. One row a thing; late or repeated news changes nothing.
 */
export interface Records {
  /**
   * Within one run of the workflow a lower or equal `sequence` is ignored that is not later either; from another run, an
   * older `at_ms` is. (A task that died after its news does them again, and may have more to tell under the same sequence.)
   * Rows that are `done` go 30 days after their last change.
   */
  publishRecord(update: RecordUpdate): Promise<void>;
  getRecord(kind: RecordKind, id: string): Promise<RecordRow | undefined>;
  /** The latest first, by the time of their first publication. `before`: only those older than this `position`. */
  listRecords(request: RecordsRequest): Promise<RecordRow[]>;
  /** Called after every change that was recorded, in order. Returns what ends the subscription. */
  subscribeRecords(listener: (row: RecordRow) => void): () => void;
}

export interface RecordRow extends RecordUpdate {
  /** Grows in the order of first publication. */
  position: number;
}

export interface RecordsRequest {
  kind: RecordKind;
  state?: string;
  done?: boolean;
  agent_id?: string;
  before?: number;
  limit: number;
}
