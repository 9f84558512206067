import type { AgentView } from '../../contract/agent-view.ts';
import type { QueueSettings } from '../../domain/messages/queue-settings.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import type { StateStore } from '../../ports/state-store.ts';
import type { DeclaredTypes } from '../../schema/message-payloads.ts';
import type { LiveGeneration } from '../caller.ts';
import { AgentEvents } from './agent-events.ts';
import { BusChanges } from './bus-changes.ts';
import type { KnownAgents } from './known-agents.ts';
import { Mailboxes } from './mailboxes.ts';
import { MessageCounts } from './message-counts.ts';
import { Messages } from './messages.ts';
import { QueueMembership } from './queue-membership.ts';
import { Queues, type Declared } from './queues.ts';
import { Receivers } from './receivers.ts';
import { StateEntries } from './state-entries.ts';
import { StateScopes } from './state-scopes.ts';
import { Topics } from './topics.ts';
import { Waker } from './waker.ts';

export interface MessagingDeps {
  bus: MessageBus;
  state: StateStore;
  roster: Roster;
  agents: KnownAgents;
  live: LiveGeneration;
  view: (row: RosterRow) => AgentView;
  /** Starts an agent for its mail; resolves once that is accepted. */
  start: (agentId: string) => Promise<void>;
  /** Of queues that say nothing else. */
  defaults: QueueSettings;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

/** What the configuration says, which a reload may change. */
export interface MessagingConfig {
  queues: Readonly<Record<string, Declared>>;
  types: DeclaredTypes;
}

/** Everything that agents say to each other, and keep: each part by itself, and how they begin and end together. */
export class Messaging {
  readonly messages: Messages;
  readonly queues: Queues;
  readonly topics: Topics;
  readonly entries: StateEntries;
  readonly counts: MessageCounts;
  readonly mailboxes: Mailboxes;
  readonly #deps: MessagingDeps;
  readonly #receivers: Receivers;
  readonly #changes: BusChanges;
  readonly #waker: Waker;
  readonly #events: AgentEvents;
  readonly #unsubscribe: () => void;
  #config: MessagingConfig;

  constructor(deps: MessagingDeps, config: MessagingConfig) {
    this.#deps = deps;
    this.#config = config;
    const { bus, state, roster, agents, live, defaults, warn } = deps;
    const membership = new QueueMembership(agents, state);
    const receivers = new Receivers(bus);
    const changes = new BusChanges(bus);
    const scopes = new StateScopes(state);
    this.#receivers = receivers;
    this.#changes = changes;
    this.counts = new MessageCounts(bus);
    this.mailboxes = new Mailboxes({ bus, receivers, scopes, roster, agents, warn });
    this.messages = new Messages({
      bus,
      agents,
      membership,
      receivers,
      changes,
      live,
      counts: this.counts,
      leaseMs: defaults.leaseMs,
      types: () => this.#config.types,
      onStray: (agentId) => void this.mailboxes.clear(agentId),
    });
    this.queues = new Queues({ bus, agents, membership, receivers, live, defaults, warn });
    this.topics = new Topics({ bus, changes, live });
    this.entries = new StateEntries({ state, scopes, agents, live });
    this.#waker = new Waker({ bus, roster, agents, start: deps.start, warn });
    this.#events = new AgentEvents({ bus, roster, view: deps.view, warn });
    // An agent's labels say from which queues it receives, also while it waits.
    const labels = new Map<string, string>();
    this.#unsubscribe = roster.subscribe((change) => {
      if (change.kind === 'removed') return void labels.delete(change.agent_id);
      const { agent_id, decision } = change.row;
      const now = JSON.stringify(decision.input.labels ?? {});
      if (labels.get(agent_id) === now) return;
      labels.set(agent_id, now);
      receivers.refresh();
    });
  }

  /** Before anybody is served. */
  async open(): Promise<void> {
    await Promise.all([this.queues.open(this.#config.queues), this.#events.open()]);
  }

  /** Once agents can be started. */
  async begin(): Promise<void> {
    await this.counts.begin();
    this.#events.begin();
    this.mailboxes.sweep().catch((error: unknown) => {
      this.#deps.warn('cannot look for what deleted agents have left', { error: String(error) });
    });
    this.#waker.begin();
  }

  /** From now on this configuration counts. */
  async use(config: MessagingConfig): Promise<void> {
    await this.queues.apply(this.#config.queues, config.queues);
    this.#config = config;
  }

  /** Nothing is started any more; all else goes on: agents that are being stopped have something to say. */
  stopWaking(): void {
    this.#waker.stop();
  }

  /** The bus itself is closed by the caller that opened it. */
  async close(): Promise<void> {
    this.#waker.stop();
    this.#unsubscribe();
    this.mailboxes.close();
    this.counts.close();
    this.#receivers.close();
    this.#changes.close();
    await this.#events.close();
  }
}
