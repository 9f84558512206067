import type { AgentInput, AgentRequest } from '../contract/agent-input.ts';
import { CodedError, codeOf } from '../contract/errors.ts';
import type { AgentSchedule } from '../contract/schedule-view.ts';
import { inTune } from '../schema/schedule-input.ts';
import { checkMayCreate, type Call } from './caller.ts';
import { createAgent, type Created, type CreateOptions, type CreationParts } from './creation.ts';
import type { Gone } from './schedules/schedules.ts';

/** The schedules that come and go with their agents. */
export interface AgentSchedules {
  /** @throws CodedError SCHEDULE_EXISTS */
  checkFree(agentId: string): Promise<void>;
  createFor(agent: AgentInput, schedule: AgentSchedule): Promise<void>;
  removeOf(gone: ReadonlyMap<string, Gone>): Promise<unknown>;
}

/** Creates an agent, then the schedule that it, or its template, says. @throws as `createAgent`; SCHEDULE_EXISTS */
export async function createWithSchedule(
  parts: CreationParts,
  schedules: AgentSchedules,
  call: Call,
  request: AgentRequest,
  options: CreateOptions,
): Promise<Created> {
  checkMayCreate(call.caller, request);
  const { schedule: own, ...given } = request;
  const agent = own === undefined ? given : inTune(given, own);
  const schedule = own ?? (await scheduleOfTemplate(parts, agent));
  if (schedule === undefined) return createAgent(parts, call, agent, options);
  const { agent_id } = agent;
  const isAgain = call.once?.again === true;
  if (!isAgain) await schedules.checkFree(agent_id);
  const created = await createAgent(parts, call, agent, options);
  const creator = call.caller.kind === 'agent' ? { created_by: call.caller.agent_id } : {};
  try {
    await schedules.createFor({ ...agent, ...creator, origin: 'api' }, schedule);
  } catch (error) {
    const code = codeOf(error);
    // An earlier attempt at the same creation has made it.
    if (isAgain && code === 'SCHEDULE_EXISTS') return created;
    if (code === undefined) throw error;
    const message = `The agent ${agent_id} is made, but its schedule is not: ${(error as Error).message}`;
    throw new CodedError(code, message, { ...(error as CodedError).details, agent_id }, error);
  }
  return created;
}

async function scheduleOfTemplate({ admit }: CreationParts, agent: AgentInput): Promise<AgentSchedule | undefined> {
  return agent.template_id === undefined ? undefined : (await admit(agent)).schedule;
}
