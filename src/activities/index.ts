import type {
  AdmissionActivities,
  ControlActivities,
  FailStopRequest,
  HostActivities,
} from '../contract/activities.ts';
import type { AgentInput } from '../contract/agent-input.ts';
import type { Definition } from '../contract/definition.ts';
import type { IncidentActivities } from '../contract/incident-activities.ts';
import type { AgentSchedule } from '../contract/schedule-view.ts';
import type { RunActivities } from '../contract/run-workflow.ts';
import type { TickActivities } from '../contract/tick.ts';
import type { DependencyWaits } from '../host/dependency-waits.ts';
import type { Host } from '../host/host.ts';
import { awaitDependencies } from './await-dependencies.ts';
import { beating } from './beating.ts';
import type { Executing } from './executing.ts';
import { failingClearly } from './failures.ts';
import { resolveTemplate } from './resolve-template.ts';
import { runProcess } from './run-process.ts';
import { pauseProcess, resumeProcess, signalProcess, stopProcess } from './stop-process.ts';

export interface ActivityDeps {
  hostId: string;
  host: Host;
  executing: Executing;
  waits: DependencyWaits;
  /** Checks shape and signature of an input and puts it together with its template; throws errors of the table. */
  define: (input: AgentInput) => Promise<Definition>;
  /** Makes the schedule that comes with an agent. @throws CodedError SCHEDULE_EXISTS */
  giveSchedule: (agent: AgentInput, schedule: AgentSchedule) => Promise<void>;
  /** Shuts the daemon down for good, because of this agent. */
  failStop: (request: FailStopRequest) => Promise<void>;
  service: ServiceActivities;
}

/** What finite things (calls of schedules, runs) ask for: the service carries it out. */
export type ServiceActivities = TickActivities & RunActivities & IncidentActivities;

/** All activities, by the task queue that they are polled on. */
export function createActivities(deps: ActivityDeps): {
  admission: AdmissionActivities;
  host: HostActivities;
  control: ControlActivities;
  /** On the same queue as `admission`. */
  service: ServiceActivities;
} {
  const { executing } = deps;
  return {
    admission: { resolveTemplate: executing.track(failingClearly((request) => resolveTemplate(deps, request))) },
    host: {
      runProcess: executing.track(failingClearly((request) => runProcess(deps, request))),
      awaitDependencies: failingClearly((request) => awaitDependencies(deps, request)),
    },
    control: {
      stopProcess: executing.track(failingClearly((request) => stopProcess(deps, request))),
      pauseProcess: failingClearly((request) => pauseProcess(deps, request)),
      resumeProcess: failingClearly((request) => resumeProcess(deps, request)),
      lookUp: failingClearly(({ agent_id }) => deps.host.lookUp(agent_id)),
      signalProcess: failingClearly((request) => signalProcess(deps, request)),
      failStop: failingClearly((request) => deps.failStop(request)),
    },
    service: allClearly(deps.service),
  };
}

type Activity = (request: never) => Promise<unknown>;

const allClearly = <Activities extends object>(all: Activities): Activities =>
  Object.fromEntries(
    Object.entries(all).map(([name, activity]) => [name, failingClearly(beating(activity as Activity))]),
  ) as Activities;
