import type { Json } from '../domain/messages/message.ts';
import type { AgentInput } from './agent-input.ts';
import type { ScheduleInput } from './schedule-view.ts';

export const TICK_WORKFLOW_TYPE = 'tick';

/** Input of the workflow `tick`: the whole schedule. Its home is the argument of the Temporal Schedule's action. */
export interface TickInput {
  schedule: ScheduleInput & { schedule_id: string };
  /** `file <path>`, `api` or `agent`; absent in what was made with Temporal's own tools. */
  origin?: string;
  /** Of `after`: the moment that was meant, ISO 8601. */
  at?: string;
  /** Of mode `run`: whose task it is and what the agent is made from, signed. */
  work?: AgentInput;
  /** Of mode `run`: the whole agent, signed, where a run has to make it anew. */
  definition?: AgentInput;
}

/** One call of a schedule, in mode `message`. */
export interface TickDelivery {
  schedule_id: string;
  agent_id: string;
  /** ISO 8601, whole seconds. */
  scheduled_at: string;
  payload: Json;
}

/** Polled on the queue `orchestrator`. */
export interface TickActivities {
  /** Puts the CRON message into the mailbox and the event on the topic; for the same scheduled time once. */
  deliverTick(delivery: TickDelivery): Promise<{ delivered: boolean; reason: string }>;
}

/** Two calls for the same moment are one. */
export const tickKeyOf = (scheduleId: string, scheduledAt: string): string => `cron/${scheduleId}/${scheduledAt}`;
