import { STATUS_QUERY } from '../../contract/names.ts';
import { runWorkflowIdOf, type RunView } from '../../contract/run-view.ts';
import type { RecordRow, Records } from '../../ports/records.ts';
import type { TemporalClient } from '../agent-workflows.ts';
import { RecordSweep } from '../record-sweep.ts';
import { askTemporal, type Asking } from '../temporal-ask.ts';
import { workflowStatus } from '../workflow-status.ts';

export interface RunUpkeepDeps extends Asking {
  client: Pick<TemporalClient, 'workflow' | 'withDeadline'>;
  records: Pick<Records, 'listRecords' | 'publishRecord'>;
  warn: (message: string, error: unknown) => void;
  /** What has changed more recently is not checked. @default 10000 */
  freshMs?: number;
}

/** Ends the records of runs whose workflow runs no more: its last news was lost, or it could tell none. */
export class RunUpkeep {
  readonly #deps: RunUpkeepDeps;
  readonly #sweep: RecordSweep;

  constructor(deps: RunUpkeepDeps) {
    this.#deps = deps;
    this.#sweep = new RecordSweep({
      records: deps.records,
      kind: 'run',
      look: (row) => this.#compare(row),
      failed: (error) => deps.warn('Runs could not be compared with Temporal; tried again', error),
      freshMs: deps.freshMs,
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): Promise<void> {
    return this.#sweep.stop();
  }

  /** One look at all that are not done. @throws CodedError TEMPORAL_UNAVAILABLE */
  sweep(): Promise<void> {
    return this.#sweep.sweep();
  }

  async #compare(row: RecordRow): Promise<void> {
    const workflowId = runWorkflowIdOf(row.id);
    const status = await workflowStatus(this.#deps, `look at the run ${row.id}`, workflowId);
    if (status === 'RUNNING') return;
    if (status !== 'COMPLETED') return this.#publish(row, lostView(row.data as RunView, status));
    const handle = this.#deps.client.workflow.getHandle(workflowId);
    await this.#publish(
      row,
      await askTemporal(this.#deps, `ask the run ${row.id}`, () => handle.query<RunView>(STATUS_QUERY)),
    );
  }

  async #publish({ position: _position, ...known }: RecordRow, data: RunView): Promise<void> {
    const { state } = data;
    // The next in its run: should the workflow come back after all, what it tells then counts.
    const news = { state, done: true, sequence: known.sequence + 1, at_ms: Date.now(), data };
    await this.#deps.records.publishRecord({ ...known, ...news });
  }
}

/** Nobody knows how it would have ended. */
function lostView(view: RunView, status: string | undefined): RunView {
  const reason =
    status === undefined ? 'its workflow was lost' : `its workflow was broken off (${status.toLowerCase()})`;
  return { ...view, state: 'failed', reason, ended_at: new Date().toISOString() };
}
