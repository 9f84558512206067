import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import { incidentDetailsOf, incidentViewOf, type IncidentRecord } from '../../contract/incident-record.ts';
import type { RecordUpdate } from '../../contract/record.ts';
import type { IncidentState } from '../../domain/incidents/incident-state.ts';
import type { IncidentLife } from './life.ts';
import { records } from '../records-sink.ts';

/** Makes the incident visible: to everybody in the records, to people in the Web UI by its details. */
export class IncidentPublisher {
  private readonly life: IncidentLife;

  constructor(life: IncidentLife) {
    this.life = life;
  }

  publish(state: IncidentState): void {
    const seen = JSON.stringify(state);
    if (seen === this.life.published) return;
    this.life.published = seen;
    this.life.sequence += 1;
    records.publish(recordOf(this.life, state));
    setCurrentDetails(incidentDetailsOf(state));
  }
}

function recordOf({ id, sequence }: IncidentLife, state: IncidentState): RecordUpdate {
  const data: IncidentRecord = { ...incidentViewOf(state), restore: state };
  return {
    kind: 'incident',
    id,
    agent_id: state.agentId,
    state: state.status,
    done: state.status === 'resolved',
    run_id: workflowInfo().runId,
    sequence,
    at_ms: state.updatedAtMs,
    data,
  };
}

/** For a record that has got lost on its way. */
export const lastRecordOf = (life: IncidentLife): RecordUpdate | null =>
  life.state === null ? null : recordOf(life, life.state);
