export type RecordKind = 'incident' | 'run';

/** What the workflow of a finite thing tells of it. */
export interface RecordUpdate {
  kind: RecordKind;
  id: string;
  /** The agent that it is about. */
  agent_id: string | null;
  /** Such as `open` or `succeeded`; see `incident-view.ts`, `run-view.ts`. */
  state: string;
  /** Nothing more will become of it, unless it is reopened. */
  done: boolean;
  run_id: string;
  /** Grows with each change of a run. */
  sequence: number;
  at_ms: number;
  /** Plain data: the view that the API shows. */
  data: unknown;
}
