import type { AgentInput, AgentRequest } from '../contract/agent-input.ts';
import type { ScheduleInput } from '../contract/schedule-view.ts';
import { nearest } from '../schema/nearest.ts';
import { inTune } from '../schema/schedule-input.ts';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';

/** A schedule of the file has the id of its agent. */
export type ConfiguredSchedule = ScheduleInput & { schedule_id: string };

/**
 * Takes the schedules out of the agents, and adds those under `schedule`. An agent that is only run by its schedule does not
 * run before, unless it says so.
 */
export function schedulesOf(
  source: ConfigSource,
  settings: ConfigFile,
  requests: readonly AgentRequest[],
): { agents: AgentInput[]; schedules: ConfiguredSchedule[] } {
  const shorthand = new Map(Object.entries(settings.schedule ?? {}));
  const ids = requests.map(({ agent_id }) => agent_id);
  for (const agent_id of shorthand.keys()) {
    if (!ids.includes(agent_id)) throw unknownAgent(source, agent_id, ids);
  }
  const agents: AgentInput[] = [];
  const schedules: ConfiguredSchedule[] = [];
  for (const { schedule: own, ...agent } of requests) {
    const { agent_id } = agent;
    const short = shorthand.get(agent_id);
    if (own !== undefined && short !== undefined) {
      const says = `schedule.${agent_id} is given, and the agent ${agent_id} has a schedule of its own; remove one of them`;
      throw source.invalid(['schedule', agent_id], says);
    }
    const schedule = own ?? short;
    agents.push(schedule === undefined ? agent : inTune(agent, schedule));
    if (schedule === undefined) continue;
    if (schedule.after !== undefined) {
      const isMaster = agent_id === settings.master?.['agent_id'];
      const where =
        own === undefined
          ? ['schedule', agent_id]
          : isMaster
            ? ['master', 'schedule']
            : ['agents', agent_id, 'schedule'];
      const says =
        'after counts from the moment at which a schedule is made, and the file is read at each start; write at, such as at: "2026-12-24T18:00:00Z"';
      throw source.invalid([...where, 'after'], `${where.join('.')}.${says}`);
    }
    schedules.push({ ...schedule, agent_id, schedule_id: agent_id });
  }
  return { agents, schedules };
}

function unknownAgent(source: ConfigSource, agentId: string, known: string[]): Error {
  const near = nearest(agentId, known);
  const suggestion = near === undefined ? '' : `; did you mean "${near}"?`;
  const list = known.length === 0 ? 'an agent of this file, which has none' : `one of ${known.join(', ')}${suggestion}`;
  return source.invalid(['schedule', agentId], `schedule.${agentId} is for no agent of this file; expected ${list}`);
}
