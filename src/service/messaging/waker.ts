import { mailboxOf, ownerOf } from '../../domain/messages/queue-name.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { Roster } from '../../ports/roster.ts';
import type { KnownAgents } from './known-agents.ts';
import { wakesFromMs } from './wake-rule.ts';

export interface WakerDeps {
  bus: Pick<MessageBus, 'watch' | 'queue'>;
  roster: Pick<Roster, 'subscribe'>;
  agents: KnownAgents;
  /** Resolves once the start is accepted. */
  start: (agentId: string) => Promise<void>;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

const RETRY_MS = 5_000;

/** Starts agents with `wake_on_message` for the mail that came while they were at rest. */
export class Waker {
  readonly #deps: WakerDeps;
  /** Those that are being checked, and whether something has come meanwhile. */
  readonly #looking = new Map<string, { again: boolean }>();
  readonly #failed = new Set<string>();
  /** Those that were reported as impossible to start. */
  readonly #warned = new Set<string>();
  #retry: NodeJS.Timeout | undefined;
  #endings: (() => void)[] = [];
  #isActive = false;

  constructor(deps: WakerDeps) {
    this.#deps = deps;
  }

  /** From now on, and for what came before. */
  begin(): void {
    const { bus, roster, agents } = this.#deps;
    this.#isActive = true;
    this.#endings = [
      bus.watch((change) => {
        const owner = change.kind === 'queue' ? ownerOf(change.queue) : undefined;
        if (owner !== undefined) this.#look(owner);
      }),
      roster.subscribe((change) => {
        if (change.kind === 'row') this.#look(change.row.agent_id);
      }),
    ];
    for (const { agent_id } of agents.all()) this.#look(agent_id);
  }

  /** An agent that is being stopped must stay so. */
  stop(): void {
    this.#isActive = false;
    for (const end of this.#endings) end();
    clearTimeout(this.#retry);
    this.#failed.clear();
  }

  #look(agentId: string): void {
    if (!this.#isActive || this.#fromMs(agentId) === undefined) return;
    const looking = this.#looking.get(agentId);
    if (looking !== undefined) {
      looking.again = true;
      return;
    }
    void this.#wake(agentId);
  }

  async #wake(agentId: string): Promise<void> {
    const looking = { again: false };
    this.#looking.set(agentId, looking);
    try {
      do {
        looking.again = false;
        if (await this.#isWanted(agentId)) await this.#deps.start(agentId);
        this.#warned.delete(agentId);
      } while (looking.again && this.#isActive);
    } catch (error) {
      if (!this.#isActive) return;
      if (!this.#warned.has(agentId)) {
        this.#deps.warn('cannot start an agent for its mail; trying again', {
          agent_id: agentId,
          error: String(error),
        });
      }
      this.#warned.add(agentId);
      this.#failed.add(agentId);
      this.#retry ??= setTimeout(() => this.#retryFailed(), RETRY_MS).unref();
    } finally {
      this.#looking.delete(agentId);
    }
  }

  #retryFailed(): void {
    this.#retry = undefined;
    const failed = [...this.#failed];
    this.#failed.clear();
    for (const agentId of failed) this.#look(agentId);
  }

  async #isWanted(agentId: string): Promise<boolean> {
    const stats = await this.#deps.bus.queue(mailboxOf(agentId));
    const fromMs = this.#fromMs(agentId);
    const newestMs = stats?.newestReadyAtMs ?? null;
    return this.#isActive && fromMs !== undefined && newestMs !== null && newestMs > fromMs;
  }

  #fromMs(agentId: string): number | undefined {
    const row = this.#deps.agents.get(agentId);
    return row && wakesFromMs(row);
  }
}
