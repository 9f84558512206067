import { CodedError } from '../../contract/errors.ts';
import type { Json } from '../../domain/messages/message.ts';
import { mailboxOf, ownerOf } from '../../domain/messages/queue-name.ts';
import type { QueueMembers } from '../../schema/queue-settings.ts';
import type { StateStore } from '../../ports/state-store.ts';
import type { KnownAgents } from './known-agents.ts';
import { DAEMON_SCOPE } from './state-scopes.ts';

/** Of the daemon's own state. */
const PREFIX = 'queues/';
const PAGE = 500;

/** Which work queues there are, and who receives from which. Asked at each receive: all of it is in memory. */
export class QueueMembership {
  readonly #agents: Pick<KnownAgents, 'get'>;
  readonly #state: StateStore;
  readonly #queues = new Map<string, QueueMembers | null>();

  constructor(agents: Pick<KnownAgents, 'get'>, state: StateStore) {
    this.#agents = agents;
    this.#state = state;
  }

  /** What was made before is there again. @returns those whose deletion has begun */
  async open(): Promise<string[]> {
    const leaving: string[] = [];
    for (let after: string | undefined, isMore = true; isMore;) {
      const from = after === undefined ? {} : { after };
      const page = await this.#state.list(DAEMON_SCOPE, { prefix: PREFIX, limit: PAGE, ...from });
      for (const { key, value } of page) {
        const queue = key.slice(PREFIX.length);
        if (isMark(value)) leaving.push(queue);
        else this.#queues.set(queue, membersIn(value));
      }
      after = page.at(-1)?.key;
      isMore = page.length === PAGE;
    }
    return leaving;
  }

  /** @param members null: any agent */
  async set(queue: string, members: QueueMembers | null): Promise<void> {
    await this.#state.put(DAEMON_SCOPE, PREFIX + queue, { members: members as Json });
    this.#queues.set(queue, members);
  }

  /**
   * From now on it is not there, and this is noted until `forget`: what it held goes in many transactions, and whoever finds
   * the note goes on with them.
   */
  async leave(queue: string): Promise<void> {
    try {
      await this.#state.put(DAEMON_SCOPE, PREFIX + queue, LEAVING);
    } catch (error) {
      if (!(error instanceof CodedError) || error.code !== 'STORAGE_FULL') throw error;
      // It may be deleted to make room.
      await this.#state.delete(DAEMON_SCOPE, PREFIX + queue);
    }
    this.#queues.delete(queue);
  }

  async isLeaving(queue: string): Promise<boolean> {
    if (this.#queues.has(queue)) return false;
    const entry = await this.#state.get(DAEMON_SCOPE, PREFIX + queue);
    return entry !== undefined && isMark(entry.value);
  }

  /** Nothing is left of it, unless it has been made again. */
  async forget(queue: string): Promise<void> {
    if (await this.isLeaving(queue)) await this.#state.delete(DAEMON_SCOPE, PREFIX + queue);
  }

  async has(queue: string): Promise<boolean> {
    if (this.#queues.has(queue)) return true;
    // Another daemon with the same state may have made it.
    const entry = await this.#state.get(DAEMON_SCOPE, PREFIX + queue);
    if (entry === undefined || isMark(entry.value)) return false;
    this.#queues.set(queue, membersIn(entry.value));
    return true;
  }

  membersOf(queue: string): QueueMembers | null {
    return this.#queues.get(queue) ?? null;
  }

  mayReceive(agentId: string, queue: string): boolean {
    const owner = ownerOf(queue);
    if (owner !== undefined) return owner === agentId;
    const members = this.#queues.get(queue);
    return members === undefined || members === null || this.#isListed(agentId, members);
  }

  /**
   * Where an agent's own messages come from: its mailbox, and the work queues that list it. One that is open to all is
   * not among them: an agent that knows nothing of a queue must not get its tasks.
   */
  queuesOf(agentId: string): string[] {
    const queues = [mailboxOf(agentId)];
    for (const [queue, members] of this.#queues) {
      if (members !== null && this.#isListed(agentId, members)) queues.push(queue);
    }
    return queues;
  }

  #isListed(agentId: string, members: QueueMembers): boolean {
    if (Array.isArray(members)) return members.includes(agentId);
    const labels = this.#agents.get(agentId)?.decision.input.labels ?? {};
    return Object.entries(members.labels).every(
      ([name, value]) => Object.hasOwn(labels, name) && labels[name] === value,
    );
  }
}

/** Instead of its members. */
const LEAVING = { leaving: true };
const isMark = (value: Json): boolean => (value as { leaving?: unknown } | null)?.leaving === true;

const membersIn = (value: Json): QueueMembers | null =>
  (value as { members?: QueueMembers | null } | null)?.members ?? null;
