import type { RecordRow, Records } from '../../ports/records.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import { incidentIdOfStall } from '../../contract/incident-view.ts';
import { DAEMON_ID } from '../../domain/ids.ts';
import { RecordSweep } from '../record-sweep.ts';
import type { IncidentWorkflows } from './incident-workflows.ts';
import { recordOf } from './known-incident.ts';

export interface UpkeepDeps {
  records: Records;
  roster: Pick<Roster, 'get' | 'history' | 'subscribe'>;
  workflows: IncidentWorkflows;
  warn: (message: string, error: unknown) => void;
  /** What has changed more recently is not checked: its news may be on its way. @default 10000 */
  freshMs?: number;
}

const PAGE = 500;

/**
 * Keeps incidents in line with the world: those of a deleted agent are over, what the records have missed is published again,
 * and one whose workflow was lost goes on.
 */
export class IncidentUpkeep {
  readonly #deps: UpkeepDeps;
  readonly #sweep: RecordSweep;
  #unsubscribe: () => void = () => undefined;
  /** Agents with a process that cannot be killed, as far as is known. */
  readonly #stalled = new Set<string>();

  constructor(deps: UpkeepDeps) {
    this.#deps = deps;
    this.#sweep = new RecordSweep({
      records: deps.records,
      kind: 'incident',
      look: (row) => this.#look(row),
      afterAll: () => this.#findUnrecorded(),
      failed: (error) => deps.warn('Incidents could not be compared with Temporal; tried again', error),
      freshMs: deps.freshMs,
    });
  }

  start(): void {
    this.#unsubscribe = this.#deps.roster.subscribe((change) => {
      const agentId = change.kind === 'row' ? change.row.agent_id : change.agent_id;
      const over =
        change.kind === 'removed'
          ? this.#resolveOf(agentId)
          : this.#stalled.has(agentId) && !isStopping(change.row)
            ? this.#unstalled(agentId)
            : undefined;
      // The next sweep finds them.
      over?.catch((error: unknown) => this.#deps.warn(`Incidents of ${agentId} are not resolved yet`, error));
    });
    this.#sweep.start();
  }

  /** A process of it cannot be killed: that is over when its stop is. */
  stalled(agentId: string): void {
    this.#stalled.add(agentId);
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await this.#sweep.stop();
  }

  /** @throws CodedError TEMPORAL_UNAVAILABLE */
  sweep(): Promise<void> {
    return this.#sweep.sweep();
  }

  async #look(row: RecordRow): Promise<void> {
    const { roster } = this.#deps;
    await this.#compare(row.id);
    await this.#endStall(row);
    if (row.agent_id === null || !isOfLife(row) || (await roster.get(row.agent_id)) !== undefined) return;
    // One that never was may be the subject of an incident, too.
    const existed = (await roster.history(row.agent_id, { limit: 1 })).length > 0;
    if (existed) await this.#over(row.id, row.agent_id);
  }

  /** What the record says is open, and what Temporal says of it. */
  async #compare(incidentId: string): Promise<void> {
    const { records, workflows } = this.#deps;
    const standing = await workflows.standing(incidentId);
    if (standing === 'running') return;
    if (standing === 'completed') {
      const last = await workflows.lastRecord(incidentId);
      if (last !== undefined) await records.publishRecord(last);
      return;
    }
    const record = recordOf(await records.getRecord('incident', incidentId));
    if (record !== undefined && record.state !== 'resolved') await workflows.restore(incidentId, record.restore);
  }

  /** An earlier daemon has reported it. */
  async #endStall({ agent_id, id }: RecordRow): Promise<void> {
    if (agent_id === null || id !== incidentIdOfStall(agent_id)) return;
    const agent = await this.#deps.roster.get(agent_id);
    if (agent !== undefined && !isStopping(agent)) await this.#unstalled(agent_id);
  }

  async #unstalled(agentId: string): Promise<void> {
    this.#stalled.delete(agentId);
    const word = { by: DAEMON_ID, note: 'its processes are gone' };
    await this.#deps.workflows.resolve(incidentIdOfStall(agentId), word);
  }

  /** Those that run and of which the records know nothing. */
  async #findUnrecorded(): Promise<void> {
    const { records, workflows } = this.#deps;
    for (const id of await workflows.running(PAGE)) {
      if (this.#sweep.hasEnded) return;
      if ((await records.getRecord('incident', id)) === undefined) await workflows.refresh(id);
    }
  }

  async #resolveOf(agentId: string): Promise<void> {
    const { records } = this.#deps;
    const open = await records.listRecords({ kind: 'incident', done: false, agent_id: agentId, limit: PAGE });
    await Promise.all(open.filter(isOfLife).map(({ id }) => this.#over(id, agentId)));
  }

  async #over(incidentId: string, agentId: string): Promise<void> {
    await this.#deps.workflows.resolve(incidentId, { by: DAEMON_ID, note: `${agentId} is deleted` });
  }
}

/** What a run or a schedule of it has met stands, also where the agent is deleted after each run. */
function isOfLife(row: RecordRow): boolean {
  const kind = recordOf(row)?.kind;
  return kind !== 'run' && kind !== 'schedule';
}

const isStopping = ({ decision }: RosterRow): boolean => decision.phase.kind === 'stopping';
