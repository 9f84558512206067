/**
 * What becomes of finite things (incidents, runs), as everybody reads it: their workflows publish each change here, as those
 * of agents do in the roster. One row a thing; late or repeated news changes nothing.
 */
export interface Records {
  /**
   * Within one run of the workflow a lower or equal `sequence` is ignored; from another run, an older `at_ms` is.
   * Rows that are `done` go 30 days after their last change.
   */
  publishRecord(update: RecordUpdate): Promise<void>;
  getRecord(kind: RecordKind, id: string): Promise<RecordRow | undefined>;
  /** The latest first, by the time of their first publication. `before`: only those older than this `position`. */
  listRecords(request: RecordsRequest): Promise<RecordRow[]>;
  /** Called after every change that was recorded, in order. Returns what ends the subscription. */
  subscribeRecords(listener: (row: RecordRow) => void): () => void;
}

export type RecordKind = 'incident' | 'run';

export interface RecordUpdate {
  kind: RecordKind;
  id: string;
  /** The agent that it is about. */
  agent_id: string | null;
  /** Such as `open` or `succeeded`; see `src/contract/incident-view.ts`, `run-view.ts`. */
  state: string;
  /** Nothing more will become of it, unless it is reopened. */
  done: boolean;
  run_id: string;
  sequence: number;
  at_ms: number;
  /** Plain data: the view that the API shows. */
  data: unknown;
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
