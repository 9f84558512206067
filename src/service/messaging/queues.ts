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
  /** The last thing that is done to each queue as a whole: one is recreated only when the one before is gone. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(deps: QueuesDeps) {
    this.#deps = deps;
  }

  /** What was made before, by the API or a file, is there again; then what the file says. What was being deleted goes on. */
  async open(declared: Readonly<Record<string, Declared>>): Promise<void> {
    const leaving = await this.#deps.membership.open();
    await Promise.all(Object.entries(declared).map(([name, queue]) => this.#set(name, queue)));
    for (const name of leaving) {
      // Not awaited: it may have held a great many messages.
      this.#inTurn(name, () => this.#finishRemoval(name)).catch((error: unknown) => {
        const message =
          'cannot finish the deletion of a queue; it goes on at the next start, or when it is deleted again';
        this.#deps.warn(message, { queue: name, error: String(error) });
      });
    }
  }

  /** From one file to the next: what is no longer declared goes, unless it holds messages. */
  async apply(before: Readonly<Record<string, Declared>>, after: Readonly<Record<string, Declared>>): Promise<void> {
    await Promise.all(Object.entries(after).map(([name, queue]) => this.#set(name, queue)));
    for (const name of Object.keys(before)) {
      if (Object.hasOwn(after, name)) continue;
      if (!(await this.#isHolding(name))) await this.#inTurn(name, () => this.#remove(name));
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

  /**
   * What it held becomes dead letters, with notices to the senders. Cut off, it can be repeated.
   * @throws CodedError QUEUE_NOT_FOUND
   */
  async remove(call: Call, queue: string): Promise<void> {
    await this.#admit(call);
    checkIsAdmin(call, 'delete queues');
    const { membership, receivers } = this.#deps;
    await this.#inTurn(queue, async () => {
      const isKnown = (await membership.has(queue)) || (await membership.isLeaving(queue));
      // What came in while it was deleted can be deleted, too. A mailbox goes with its agent.
      const isLeft = !isKnown && ownerOf(queue) === undefined && (await this.#isHolding(queue));
      if (!isKnown && !isLeft) throw queueNotFound(queue);
      await this.#remove(queue);
    }).finally(() => receivers.refresh());
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

  #set(name: string, { members, settings }: Declared): Promise<void> {
    return this.#inTurn(name, async () => {
      // What has its name from now on is another queue.
      await this.#finishRemoval(name);
      await this.#deps.bus.configure(name, settings);
      await this.#deps.membership.set(name, members);
    });
  }

  /** First nothing more is let in: what would come after the bus has deleted it would be lost. */
  async #remove(name: string): Promise<void> {
    await this.#deps.membership.leave(name);
    await this.#deps.bus.deleteQueue(name);
    await this.#deps.membership.forget(name);
  }

  /** Of a queue whose deletion was cut off. */
  async #finishRemoval(name: string): Promise<void> {
    const { bus, membership } = this.#deps;
    if (!(await membership.isLeaving(name))) return;
    await bus.deleteQueue(name);
    await membership.forget(name);
  }

  async #isHolding(name: string): Promise<boolean> {
    const { ready = 0, leased = 0, delayed = 0 } = (await this.#deps.bus.queue(name)) ?? {};
    return ready + leased + delayed > 0;
  }

  #inTurn(name: string, act: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(name) ?? Promise.resolve()).catch(() => undefined).then(act);
    const end = (): void => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name);
    };
    this.#turns.set(name, turn);
    turn.then(end, end);
    return turn;
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
