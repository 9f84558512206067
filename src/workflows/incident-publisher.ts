import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import { incidentDetailsOf, incidentViewOf, type IncidentRecord } from '../contract/incident-record.ts';
import type { IncidentState } from '../domain/incidents/incident-state.ts';
import type { IncidentLife } from './incident-life.ts';
import { records } from './records-sink.ts';

/** Makes the incident visible: to everybody in the records, to people in the Web UI by its details. */
export class IncidentPublisher {
  private readonly life: IncidentLife;

  constructor(life: IncidentLife) {
    this.life = life;
  }

  publish(state: IncidentState): void {
    const data: IncidentRecord = { ...incidentViewOf(state), restore: state };
    const seen = JSON.stringify(data);
    if (seen === this.life.published) return;
    this.life.published = seen;
    this.life.sequence += 1;
    records.publish({
      kind: 'incident',
      id: this.life.id,
      agent_id: state.agentId,
      state: state.status,
      done: state.status === 'resolved',
      run_id: workflowInfo().runId,
      sequence: this.life.sequence,
      at_ms: Date.now(),
      data,
    });
    setCurrentDetails(incidentDetailsOf(state));
  }
}
