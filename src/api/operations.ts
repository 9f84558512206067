/** What the OpenAPI document says of each route, besides the schemas by which its request is checked. */
import { AGENT_OPERATIONS } from './operations/agents.ts';
import { DAEMON_OPERATIONS } from './operations/daemon.ts';
import { INCIDENT_OPERATIONS } from './operations/incidents.ts';
import { MESSAGE_OPERATIONS } from './operations/messages.ts';
import type { Operations } from './operations/operation.ts';
import { PROBE_OPERATIONS } from './operations/probes.ts';
import { RUN_OPERATIONS } from './operations/runs.ts';
import { SCHEDULE_OPERATIONS } from './operations/schedules.ts';
import { STATE_OPERATIONS } from './operations/state.ts';

export type { Operation } from './operations/operation.ts';

/** By method and path, as fastify has them. */
export const OPERATIONS: Operations = {
  ...AGENT_OPERATIONS,
  ...MESSAGE_OPERATIONS,
  ...STATE_OPERATIONS,
  ...SCHEDULE_OPERATIONS,
  ...RUN_OPERATIONS,
  ...INCIDENT_OPERATIONS,
  ...DAEMON_OPERATIONS,
  ...PROBE_OPERATIONS,
};
