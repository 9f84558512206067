import { setTimeout as delay } from 'node:timers/promises';
import type { AgentView } from '../../contract/agent-view.ts';
import { DAEMON_SENDER } from '../../domain/messages/message.ts';
import { stateTopicOf } from '../../domain/messages/topic.ts';
import { transitionState } from '../../domain/public-state.ts';
import type { MessageBus, OutgoingEvent } from '../../ports/message-bus.ts';
import type { AgentTransition, Roster, RosterRow } from '../../ports/roster.ts';
import { fleetEvents } from '../fleet-events.ts';

export interface AgentEventsDeps {
  bus: Pick<MessageBus, 'publish'>;
  roster: Roster;
  view: (row: RosterRow) => AgentView;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

/** Name of the fact that tells up to which transition all are published. */
const CURSOR_FACT = 'agent_events';
const RETRY_MS = 1_000;

/**
 * Publishes on `agent.<id>.state` what becomes of the agents: each decision once, also one that was made while no daemon
 * lived; and whether the process runs, which is no decision.
 */
export class AgentEvents {
  readonly #deps: AgentEventsDeps;
  readonly #ending = new AbortController();
  /** What was last said of a process: `running` or `unready`, and of which generation. */
  readonly #said = new Map<string, string>();
  #running: Promise<void> = Promise.resolve();

  constructor(deps: AgentEventsDeps) {
    this.#deps = deps;
  }

  /** From here on nothing is left out, before any agent is started. What runs already was said by an earlier daemon. */
  async open(): Promise<void> {
    const { roster, view } = this.#deps;
    if ((await roster.getFact(CURSOR_FACT)) === undefined) {
      await roster.setFact(CURSOR_FACT, String(await roster.latestTransition()));
    }
    for (const row of await roster.list()) {
      const agent = view(row);
      if (isProcessState(agent)) this.#said.set(agent.agent_id, saidOf(agent));
    }
  }

  begin(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#follow();
      } catch (error) {
        this.#deps.warn('cannot publish what becomes of the agents; trying again', { error: String(error) });
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #follow(): Promise<void> {
    const { roster, view } = this.#deps;
    const after = Number((await roster.getFact(CURSOR_FACT)) ?? 0);
    for await (const event of fleetEvents(roster, view, { after }, this.#ending.signal)) {
      switch (event.kind) {
        case 'transition':
          await this.#tell(event.transition);
          await roster.setFact(CURSOR_FACT, String(event.transition.id));
          break;
        case 'agent':
          await this.#tellProcess(event.agent);
          break;
        case 'removed':
          this.#said.delete(event.agent_id);
      }
    }
  }

  async #tell(transition: AgentTransition): Promise<void> {
    const { agent_id, state, run_id, sequence, generation, reason, at_ms } = transition;
    // What people should know is no state.
    if (state === 'incident') return;
    this.#said.delete(agent_id);
    await this.#publish(
      { agent_id, state: transitionState(state), reason, generation, at: new Date(at_ms).toISOString() },
      `${run_id}/${sequence}`,
    );
  }

  async #tellProcess(agent: AgentView): Promise<void> {
    const { agent_id, state, reason, generation } = agent;
    if (!isProcessState(agent)) return void this.#said.delete(agent_id);
    if (this.#said.get(agent_id) === saidOf(agent)) return;
    await this.#publish({ agent_id, state, reason, generation, at: new Date().toISOString() });
    this.#said.set(agent_id, saidOf(agent));
  }

  async #publish(payload: StateEvent, key?: string): Promise<void> {
    const event: OutgoingEvent = {
      topic: stateTopicOf(payload.agent_id),
      from: DAEMON_SENDER,
      payload: { ...payload },
      ...(key === undefined ? {} : { key }),
    };
    await this.#deps.bus.publish(event);
  }
}

type StateEvent = { agent_id: string; state: string; reason: string; generation: number; at: string };

const isProcessState = ({ state }: AgentView): boolean => state === 'running' || state === 'unready';
const saidOf = ({ state, generation }: AgentView): string => `${state}/${generation}`;
