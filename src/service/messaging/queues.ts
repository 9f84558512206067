import type { QueueView, StoredMessageView } from '../../contract/messaging-views.ts';
import { mailboxOf, ownerOf } from '../../domain/messages/queue-name.ts';
import type { QueueSettings } from '../../domain/messages/queue-settings.ts';
import type { MessageBus, QueueStats } from '../../ports/message-bus.ts';
import { queueSettingsOf, type QueueMembers, type WrittenQueue } from '../../schema/queue-settings.ts';
import { admitCaller, type Call, type LiveGeneration } from '../caller.ts';
import { checkExists, checkIsAdmin, type KnownAgents } from './known-agents.ts';
import { queueNotFound } from './messages.ts';
import { readPage } from './page-size.ts';
import type { QueueMembership } from './queue-membership.ts';
import type { Receivers } from './receivers.ts';
import { queueView, storedView } from './views.ts';

export interface QueuesDeps {
  bus: MessageBus;
  agents: KnownAgents;
  membership: QueueMembership;
  receivers: Pick<Receivers, 'refresh'>;
  live: LiveGeneration;
  /** Of queues that say nothing else. */
  defaults: QueueSettings;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

/** A work queue, as the configuration declares it. */
export interface Declared {
  members: QueueMembers | null;
  settings: QueueSettings;
}

/** The queues themselves: what there is, who receives from which, what became of their dead letters. */
export class Queues {
  readonly #deps: QueuesDeps;

  constructor(deps: QueuesDeps) {
    this.#deps = deps;
  }

  /** What was made before, by the API or a file, is there again; then what the file says. */
  async open(declared: Readonly<Record<string, Declared>>): Promise<void> {
    await this.#deps.membership.open();
    await Promise.all(Object.entries(declared).map(([name, queue]) => this.#set(name, queue)));
  }

  /** From one file to the next: what is no longer declared goes, unless it holds messages. */
  async apply(before: Readonly<Record<string, Declared>>, after: Readonly<Record<string, Declared>>): Promise<void> {
    await Promise.all(Object.entries(after).map(([name, queue]) => this.#set(name, queue)));
    for (const name of Object.keys(before)) {
      if (Object.hasOwn(after, name)) continue;
      const { ready = 0, leased = 0, delayed = 0 } = (await this.#deps.bus.queue(name)) ?? {};
      if (ready + leased + delayed === 0) await this.#remove(name);
      else this.#deps.warn('a queue that is no longer declared stays, since it holds messages', { queue: name });
    }
    this.#deps.receivers.refresh();
  }

  async list(call: Call): Promise<QueueView[]> {
    await this.#admit(call);
    const all = await this.#deps.bus.queues();
    return all.map((stats) => queueView(stats, this.#deps.membership.membersOf(stats.name)));
  }

  /** @throws CodedError QUEUE_NOT_FOUND, AGENT_NOT_FOUND */
  async get(call: Call, queue: string): Promise<QueueView> {
    await this.#admit(call);
    return this.#view(queue);
  }

  /** Makes a work queue, or gives it these settings instead of the ones it had. */
  async put(call: Call, queue: string, { members, ...written }: WrittenQueue): Promise<QueueView> {
    await this.#admit(call);
    checkIsAdmin(call, 'make queues');
    await this.#set(queue, { members: members ?? null, settings: queueSettingsOf(this.#deps.defaults, written) });
    this.#deps.receivers.refresh();
    return this.#view(queue);
  }

  /** What it held becomes dead letters, with notices to the senders. */
  async remove(call: Call, queue: string): Promise<void> {
    await this.#admit(call);
    checkIsAdmin(call, 'delete queues');
    if (!(await this.#deps.membership.has(queue))) throw queueNotFound(queue);
    await this.#remove(queue);
    this.#deps.receivers.refresh();
  }

  /** Dead letters, oldest first. An agent sees those of its own mailbox. */
  async dead(
    call: Call,
    queue: string,
    { limit, after }: { limit: number; after?: string },
  ): Promise<{ messages: StoredMessageView[]; next: string | null }> {
    await this.#admit(call);
    this.#checkDead(call, queue, 'see the dead letters of other queues');
    const { bus } = this.#deps;
    const messages = await readPage(limit, after, (from) => bus.browse({ queue, state: 'dead', ...from }));
    return { messages: messages.map(storedView), next: messages.at(-1)?.id ?? after ?? null };
  }

  /** @param ids all without any */
  async requeue(call: Call, queue: string, ids?: readonly string[]): Promise<{ count: number }> {
    await this.#admit(call);
    this.#checkDead(call, queue, 'requeue dead letters of other queues');
    return { count: await this.#deps.bus.requeue(queue, ids) };
  }

  async discard(call: Call, queue: string, ids?: readonly string[]): Promise<{ count: number }> {
    await this.#admit(call);
    this.#checkDead(call, queue, 'discard dead letters of other queues');
    return { count: await this.#deps.bus.discard(queue, ids) };
  }

  async #set(name: string, { members, settings }: Declared): Promise<void> {
    await this.#deps.bus.configure(name, settings);
    await this.#deps.membership.set(name, members);
  }

  async #remove(name: string): Promise<void> {
    await this.#deps.membership.delete(name);
    await this.#deps.bus.deleteQueue(name);
  }

  async #view(queue: string): Promise<QueueView> {
    const { bus, membership, agents, defaults } = this.#deps;
    const owner = ownerOf(queue);
    if (owner !== undefined) checkExists(agents, owner);
    const stats = await bus.queue(queue);
    if (stats === undefined && owner === undefined && !(await membership.has(queue))) throw queueNotFound(queue);
    return queueView(stats ?? emptyStats(queue, defaults), membership.membersOf(queue));
  }

  #checkDead(call: Call, queue: string, what: string): void {
    const { caller } = call;
    if (caller.kind === 'agent' && queue === mailboxOf(caller.agent_id)) return;
    checkIsAdmin(call, what);
  }

  async #admit(call: Call): Promise<void> {
    await admitCaller(call, this.#deps.live);
  }
}

/** A mailbox to which nothing was ever sent. */
const emptyStats = (name: string, settings: QueueSettings): QueueStats => ({
  name,
  ready: 0,
  leased: 0,
  delayed: 0,
  dead: 0,
  oldestReadyAtMs: null,
  newestReadyAtMs: null,
  settings,
});
