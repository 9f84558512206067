/** Schedules and runs: their services, what their workflows ask for, and what watches over them. */
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { AgentInput } from '../../contract/agent-input.ts';
import type { IncidentReport } from '../../contract/incident-view.ts';
import { workflowIdOf } from '../../contract/names.ts';
import type { RunActivities } from '../../contract/run-workflow.ts';
import type { TickActivities } from '../../contract/tick.ts';
import type { LogSource } from '../../ports/log-source.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Records } from '../../ports/records.ts';
import type { Roster } from '../../ports/roster.ts';
import type { LiveGeneration } from '../../service/caller.ts';
import type { Orchestrator } from '../../service/orchestrator.ts';
import { runActivities } from '../../service/runs/run-activities.ts';
import { RunAnswers } from '../../service/runs/run-answers.ts';
import { RunTasks } from '../../service/runs/run-tasks.ts';
import { RunUpkeep } from '../../service/runs/run-upkeep.ts';
import { Runs } from '../../service/runs/runs.ts';
import { ScheduleWatch } from '../../service/schedules/schedule-watch.ts';
import { Schedules } from '../../service/schedules/schedules.ts';
import { TemporalSchedules } from '../../service/schedules/temporal-schedules.ts';
import { tickActivities } from '../../service/schedules/tick-delivery.ts';
import type { TemporalLink } from '../../service/temporal-link.ts';
import type { Configuration } from '../configuration/configuration.ts';

export interface RunPartsOptions {
  client: Client;
  temporal: TemporalLink;
  roster: Roster & Records;
  bus: MessageBus;
  logs: LogSource;
  configuration: Configuration;
  live: LiveGeneration;
  orchestrator: Pick<Orchestrator, 'parts'>;
  /** Waits until nothing is left of a deleted agent. */
  cleared: (agentId: string) => Promise<boolean>;
  report: (report: IncidentReport, reportId?: string) => Promise<void>;
  log: Logger;
}

export interface RunParts {
  temporalSchedules: TemporalSchedules;
  schedules: Schedules;
  runs: Runs;
  activities: TickActivities & RunActivities;
  scheduleWatch: ScheduleWatch;
  answers: RunAnswers;
  upkeep: RunUpkeep;
}

/** For one call to Temporal. */
const CALL_MS = 5_000;
/** A schedule is asked of Temporal's own worker: the first question after a kill of the server waits for its dead one. */
const SCHEDULE_CALL_MS = 15_000;

export function createRunParts(options: RunPartsOptions): RunParts {
  const { client, temporal: link, roster, bus, logs, configuration, live, orchestrator, report, log } = options;
  const { definitions, sign } = configuration;
  const admit = (input: AgentInput): Promise<unknown> => definitions.admit(input);
  const warn = (message: string, fields: Record<string, unknown>): void => log.warn(fields, message);
  const asking = { client, link, timeoutMs: CALL_MS };
  const temporalSchedules = new TemporalSchedules({ ...asking, timeoutMs: SCHEDULE_CALL_MS });
  const schedules = new Schedules({ temporal: temporalSchedules, roster, liveGeneration: live, sign, admit });
  const answers = new RunAnswers({ bus, client, roster, warn });
  const isOpen = async (agentId: string): Promise<boolean> => {
    try {
      return (await client.workflow.getHandle(workflowIdOf(agentId)).describe()).status.name === 'RUNNING';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    }
  };
  return {
    temporalSchedules,
    schedules,
    runs: new Runs({ ...asking, roster, records: roster, liveGeneration: live, sign, admit }),
    activities: {
      ...tickActivities({ bus, roster, isOpen }),
      ...runActivities({
        agents: orchestrator.parts,
        tasks: new RunTasks({ bus }),
        answers,
        logs,
        trust: (input) => definitions.checked(input),
        cleared: options.cleared,
        report,
        log: (message, fields) => log.info(fields, message),
      }),
    },
    scheduleWatch: new ScheduleWatch({ temporal: temporalSchedules, schedules, roster, isOpen, report, warn }),
    answers,
    upkeep: new RunUpkeep({ ...asking, records: roster, warn: (message, error) => log.warn({ err: error }, message) }),
  };
}
