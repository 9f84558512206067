import { setTimeout as delay } from 'node:timers/promises';
import { CodedError } from '../../contract/errors.ts';
import { incarnationOf } from '../../domain/ids.ts';
import { mailboxOf, ownerOf } from '../../domain/messages/queue-name.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Roster } from '../../ports/roster.ts';
import type { KnownAgents } from './known-agents.ts';
import type { Receivers } from './receivers.ts';
import type { StateScopes } from './state-scopes.ts';

export interface MailboxesDeps {
  bus: MessageBus;
  receivers: Pick<Receivers, 'dismiss'>;
  scopes: StateScopes;
  roster: Pick<Roster, 'subscribe' | 'history'>;
  agents: KnownAgents;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 30_000;
/** How long deleting an agent, or creating one of the same name, waits for what the old one has left. */
const CLEARED_WITHIN_MS = 5_000;
const PAGE = 200;

/** What belongs to an agent, and to one life of it, goes with it: its mailbox, its state, what it holds. */
export class Mailboxes {
  readonly #deps: MailboxesDeps;
  /** Agents that are gone, whose belongings are not yet. */
  readonly #clearing = new Map<string, Promise<void>>();
  readonly #ending = new AbortController();
  readonly #unsubscribe: () => void;

  constructor(deps: MailboxesDeps) {
    this.#deps = deps;
    // At once: what is sent to another agent of that name comes after it.
    this.#unsubscribe = deps.roster.subscribe((change) => {
      if (change.kind === 'removed') void this.clear(change.agent_id);
    });
  }

  /** Its mail becomes dead letters, with notices to the senders. Tried until it is done. */
  clear(agentId: string): Promise<void> {
    const clearing = this.#clear(agentId).finally(() => {
      if (this.#clearing.get(agentId) === clearing) this.#clearing.delete(agentId);
    });
    this.#clearing.set(agentId, clearing);
    return clearing;
  }

  /** Waits until nothing is left of a deleted agent. @returns false if that takes too long */
  async cleared(agentId: string): Promise<boolean> {
    const clearing = this.#clearing.get(agentId);
    if (clearing === undefined) return true;
    const late = delay(CLEARED_WITHIN_MS, false, { ref: false });
    return Promise.race([clearing.then(() => !this.#ending.signal.aborted), late]);
  }

  /** One life of it has ended: all that it holds is due again, and it gets nothing more. Tried until it is done. */
  async release(agentId: string, generation: number): Promise<void> {
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        return await this.#release(agentId, generation);
      } catch (error) {
        if (this.#ending.signal.aborted) throw error;
        const what = { agent_id: agentId, generation, error: String(error) };
        this.#deps.warn('cannot free the messages that a process held; trying again', what);
      }
      await delay(waitMs, undefined, { signal: this.#ending.signal, ref: false }).catch(() => undefined);
    }
  }

  async #release(agentId: string, generation: number): Promise<void> {
    const { bus, receivers } = this.#deps;
    const consumer = incarnationOf(agentId, generation);
    // A call that still waits with its token would take what is for the next one.
    const message = `The token is for generation ${generation} of ${agentId}, which has ended`;
    receivers.dismiss(consumer, new CodedError('STALE_INCARNATION', message, { agent_id: agentId, generation }));
    await bus.release(consumer);
  }

  /**
   * At the start: an earlier daemon may have died before it had cleared or released something.
   *
   * An agent of which nobody knows anything is left alone: a roster that was lost is filled again from the workflows, and
   * no mail may be lost over that.
   */
  async sweep(): Promise<void> {
    const { bus, scopes, agents, roster } = this.#deps;
    const owners = (await bus.queues()).flatMap(({ name }) => ownerOf(name) ?? []);
    for (const agentId of new Set([...owners, ...(await scopes.all())])) {
      if (agents.get(agentId) !== undefined) continue;
      if ((await roster.history(agentId, { limit: 1 })).length > 0) await this.clear(agentId);
    }
    for (const consumer of await this.#holders()) {
      const [, agentId = '', generation = 0] = /^(.+)\/(\d+)$/.exec(consumer) ?? [];
      const { handled = 0 } = agents.get(agentId)?.decision.snapshot ?? {};
      // The end of a later one is still to be reported, if it has ended.
      if (Number(generation) <= handled) await this.#release(agentId, Number(generation));
    }
  }

  close(): void {
    this.#unsubscribe();
    this.#ending.abort();
  }

  async #clear(agentId: string): Promise<void> {
    const { bus, scopes, agents, warn } = this.#deps;
    for (let waitMs = RETRY_FIRST_MS; !this.#ending.signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        await Promise.all([bus.deleteQueue(mailboxOf(agentId)), scopes.clear(agentId)]);
        return;
      } catch (error) {
        warn('cannot clear what a deleted agent has left; trying again', { agent_id: agentId, error: String(error) });
      }
      await delay(waitMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      if (agents.get(agentId) === undefined) continue;
      warn('a new agent finds the mailbox and state of the one before', { agent_id: agentId });
      return;
    }
  }

  async #holders(): Promise<Set<string>> {
    const holders = new Set<string>();
    for (let after: string | undefined, isMore = true; isMore;) {
      const from = after === undefined ? {} : { after };
      const page = await this.#deps.bus.browse({ state: 'leased', limit: PAGE, ...from });
      for (const { consumer } of page) if (consumer !== null) holders.add(consumer);
      after = page.at(-1)?.id;
      isMore = page.length === PAGE;
    }
    return holders;
  }
}
