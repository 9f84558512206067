import type { AgentInput } from '../../contract/agent-input.ts';
import type { ScheduleInput } from '../../contract/schedule-view.ts';
import type { TickInput } from '../../contract/tick.ts';
import { momentOf } from './schedule-options.ts';

export interface TickParts {
  /** `file <path>`, `api` or `agent`. */
  origin: string;
  /** The agent as it is described now; undefined if there is none. */
  agent: AgentInput | undefined;
  sign: (input: AgentInput) => AgentInput;
  nowMs: number;
}

/** The whole of a schedule, as it goes along with each of its calls. What a run is to do is signed. */
export function tickOf(
  input: ScheduleInput,
  { origin, agent, sign, nowMs }: TickParts,
): TickInput & { origin: string } {
  const schedule = { ...input, schedule_id: input.schedule_id ?? input.agent_id };
  const at = momentOf(input, nowMs);
  const tick = { schedule, origin, ...(at === undefined ? {} : { at }) };
  if (input.mode !== 'run') return tick;
  const { agent_id, task, template_id, variables, labels } = input;
  const work = sign({
    agent_id,
    ...(task === undefined ? {} : { task }),
    ...(template_id === undefined ? {} : { template_id }),
    ...(variables === undefined ? {} : { variables }),
    ...(labels === undefined ? {} : { labels }),
  });
  // The run before has deleted it: each run recreates it.
  const isMadeAnew = input.cleanup === 'delete' && template_id === undefined && agent !== undefined;
  return { ...tick, work, ...(isMadeAnew ? { definition: sign(describedOnly(agent)) } : {}) };
}

/** Without what belongs to one life of it. */
function describedOnly(agent: AgentInput): AgentInput {
  const { run: _run, restore: _restore, request_id: _request, signature: _signature, ...described } = agent;
  return described;
}

/** True if its runs need no agent that is there already. */
export const makesItsAgent = ({ schedule, definition }: TickInput): boolean =>
  schedule.mode === 'run' && (definition !== undefined || schedule.template_id !== undefined);
