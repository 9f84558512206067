import { workflowInfo } from '@temporalio/workflow';
import type { IncidentAnswer, IncidentEvent, IncidentState } from '../../domain/incidents/incident-state.ts';

export type EntryAnswer = IncidentAnswer | { kind: 'refused'; code: 'INCIDENT_NOT_FOUND'; message: string };

/** An event, and who waits for what comes of it. */
export interface Entry {
  event: IncidentEvent;
  answer?: (answer: EntryAnswer) => void;
}

/** Everything that one workflow run holds, and hands to the next. Plain JSON, once the queue is empty. */
export interface IncidentLife {
  id: string;
  /** See `IncidentState.life`. */
  name: string;
  /** Null before the first report. */
  state: IncidentState | null;
  queue: Entry[];
  sequence: number;
  /** What was published last, so that nothing is published twice. */
  published: string;
}

export function newIncident(id: string, restore: IncidentState | null): IncidentLife {
  const name = workflowInfo().runId.replaceAll('-', '').slice(-12);
  return { id, name, state: restore, queue: [], sequence: 0, published: '' };
}
