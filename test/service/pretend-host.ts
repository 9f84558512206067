import { ApplicationFailure } from '@temporalio/common';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import type { AdmissionActivities, ControlActivities, HostActivities } from '../../src/contract/activities.ts';
import type { Definition, Verdict } from '../../src/contract/definition.ts';
import { CodedError } from '../../src/contract/errors.ts';
import type { Custody, ExitRecord } from '../../src/domain/custody.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import type { ProcessFacts, Roster } from '../../src/ports/roster.ts';
import type { HeartbeatSink } from '../../src/service/heartbeat.ts';
import { until } from '../support/wait.ts';

export const HOST = 'pretend-host';

/**
 * The activities of a host without processes, so that the service is tested with real workflows and nothing else.
 * The template tells how an agent behaves: `ok`, `unspawnable`, `slow` (never comes up), `stubborn` (never stops
 * before `release`), `short` (completes at once); any other is not found.
 */
export class PretendHost {
  readonly signals: string[] = [];
  /** What an admission waits for before it is answered. */
  beforeAdmission: () => Promise<void> = async () => undefined;
  /** What a command that lets an agent run waits for: orders that the custodian keeps. */
  handOver: (agentId: string) => Promise<void> = async () => undefined;
  readonly #roster: Roster;
  readonly #live = new Map<
    string,
    { generation: number; pid: number; paused?: boolean; end: (exit: ExitRecord) => void }
  >();
  readonly #custody = new Map<string, Custody>();
  readonly #held = new Set<() => void>();
  #lastPid = 1000;

  constructor(roster: Roster) {
    this.#roster = roster;
  }

  admit = (input: AgentInput): Definition => {
    const template = input.template_id ?? '';
    if (!['ok', 'unspawnable', 'slow', 'stubborn', 'short'].includes(template)) {
      throw new CodedError('TEMPLATE_NOT_FOUND', `There is no template ${template}`);
    }
    return {
      agent_id: input.agent_id,
      template_id: template,
      template_version: 'v1',
      fault_domain: 'default',
      rules: {
        launchDigest: template,
        restart: BUILT_IN_FAULT_DOMAINS.default,
        stop: { signal: 'SIGINT', graceMs: 1234 },
      },
      launch: { command: ['true'], env: {}, env_file: null, cwd: '/', stdin: null, task: null, may: { start: [] } },
    };
  };

  liveGeneration = (agentId: string): number | undefined => this.#live.get(agentId)?.generation;

  heartbeat: HeartbeatSink = (agentId, _said, generation) => {
    const live = this.liveGeneration(agentId);
    const isMeant = live !== undefined && (generation === undefined || generation === live);
    return isMeant ? { generation: live, period_ms: 5000 } : undefined;
  };

  get activities(): { admission: AdmissionActivities; host: HostActivities; control: ControlActivities } {
    return {
      admission: {
        resolveTemplate: async ({ input }) => {
          await this.beforeAdmission();
          const known = { host: HOST, custody: this.#custodyOf(input.agent_id) };
          try {
            return { kind: 'admitted', ...known, definition: this.admit(input) };
          } catch (error) {
            const { code, message } = error as CodedError;
            return { kind: 'refused', ...known, code, message };
          }
        },
      },
      host: {
        runProcess: ({ input, generation }) => this.#run(input, generation),
        awaitDependencies: async () => undefined,
      },
      control: {
        stopProcess: ({ agent_id, generation }) => this.#stop(agent_id, generation),
        pauseProcess: ({ agent_id, generation }) => this.#hold(agent_id, generation, true),
        resumeProcess: ({ agent_id, generation }) => this.#hold(agent_id, generation, false),
        lookUp: async ({ agent_id }) => ({ custody: this.#custodyOf(agent_id), sequence: 0 }),
        signalProcess: async ({ signal }) => {
          this.signals.push(signal);
          return { delivered: true };
        },
        failStop: async () => undefined,
      },
    };
  }

  /** Ends the process of an agent by itself. */
  async exit(agentId: string, code: number): Promise<void> {
    await this.#end(agentId, { code, signal: null, cause: 'self' });
  }

  /** Lets the stubborn agent stop, once it has been asked to. */
  async release(): Promise<void> {
    await until(() => this.#held.size > 0, { what: 'a stop to hold up' });
    this.#releaseHeld();
  }

  #releaseHeld(): void {
    for (const go of this.#held) go();
    this.#held.clear();
  }

  async endAll(): Promise<void> {
    this.#releaseHeld();
    for (const agentId of this.#live.keys())
      await this.#end(agentId, { code: null, signal: 'SIGKILL', cause: 'shutdown' });
  }

  async #run(input: AgentInput, generation: number): Promise<Verdict> {
    const { agent_id, template_id } = input;
    if (template_id === 'unspawnable')
      throw ApplicationFailure.nonRetryable('Cannot run "nothing": ENOENT', 'SPAWN_FAILED');
    if (template_id === 'slow') return new Promise(() => undefined);
    this.#custody.set(agent_id, { fence: generation });
    const pid = (this.#lastPid += 1);
    const ended = new Promise<ExitRecord>((resolve) => this.#live.set(agent_id, { generation, pid, end: resolve }));
    await this.#roster.recordProcess(
      agent_id,
      facts({ generation, pid, started_at: new Date().toISOString(), ready: true }),
    );
    if (template_id === 'short') await this.exit(agent_id, 0);
    return { kind: 'exited', exit: await ended };
  }

  async #stop(agentId: string, generation: number): Promise<Custody> {
    const live = this.#live.get(agentId);
    if (!live || live.generation > generation) return this.#custodyOf(agentId);
    const stubborn = (await this.#roster.get(agentId))?.decision.template_id === 'stubborn';
    if (stubborn) await new Promise<void>((resolve) => this.#held.add(resolve));
    await this.#end(agentId, { code: 0, signal: null, cause: 'operator' });
    return this.#custodyOf(agentId);
  }

  async #hold(agentId: string, generation: number, paused: boolean): Promise<Custody> {
    const live = this.#live.get(agentId);
    if (live?.generation === generation) {
      live.paused = paused;
      const { process } = (await this.#roster.get(agentId)) ?? {};
      if (process) await this.#roster.recordProcess(agentId, { ...process, paused });
    }
    return this.#custodyOf(agentId);
  }

  async #end(agentId: string, how: Pick<ExitRecord, 'code' | 'signal' | 'cause'>): Promise<void> {
    const live = this.#live.get(agentId);
    if (!live) return;
    this.#live.delete(agentId);
    const exit: ExitRecord = { generation: live.generation, at: new Date().toISOString(), ran_ms: 100, ...how };
    this.#custody.set(agentId, { fence: live.generation, last_exit: exit });
    const last_exit = { ...exit, reason: 'ended', log_tail: 'last words' };
    await this.#roster.recordProcess(agentId, facts({ generation: live.generation, last_exit }));
    live.end(exit);
  }

  #custodyOf(agentId: string): Custody {
    const live = this.#live.get(agentId);
    const custody = this.#custody.get(agentId) ?? { fence: 0 };
    if (!live) return custody;
    const { generation, pid, paused } = live;
    return { ...custody, live: { generation, pid, ...(paused ? { paused } : {}) } };
  }
}

function facts(known: Partial<ProcessFacts> & { generation: number }): ProcessFacts {
  return { pid: null, started_at: null, ready: false, log_path: null, last_exit: null, ...known };
}
