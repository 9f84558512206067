import type { Decision } from '../contract/decision.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';

/** What the roster holds of an agent. Without a row, `closing` is the decision that took it out, if one was seen. */
export interface Seen {
  row: RosterRow | undefined;
  closing: Decision | undefined;
}

/** Follows one agent in the roster. Open it before asking for something, so that no answer is missed; close it always. */
export class AgentWatch {
  #seen: Seen = { row: undefined, closing: undefined };
  #listeners = new Set<() => void>();
  readonly #unsubscribe: () => void;

  private constructor(roster: Roster, agentId: string, onFirst: () => void) {
    this.#unsubscribe = roster.subscribe((change) => {
      if ((change.kind === 'row' ? change.row.agent_id : change.agent_id) !== agentId) return;
      onFirst();
      this.#see(
        change.kind === 'row' ? { row: change.row, closing: undefined } : { row: undefined, closing: change.closing },
      );
    });
  }

  static async open(roster: Roster, agentId: string): Promise<AgentWatch> {
    let told = false;
    const watch = new AgentWatch(roster, agentId, () => (told = true));
    try {
      const row = await roster.get(agentId);
      // A change that came meanwhile is younger than what was read.
      if (!told) watch.#seen = { row, closing: undefined };
      return watch;
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  get seen(): Seen {
    return this.#seen;
  }

  /** The first answer that `judge` gives to what is seen; undefined once the time is up or `signal` aborts. */
  until<T>(judge: (seen: Seen) => T | undefined, timeoutMs: number, signal?: AbortSignal): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        this.#listeners.delete(look);
        settle();
      };
      const giveUp = (): void => finish(() => resolve(undefined));
      const look = (): void => {
        try {
          const answer = judge(this.#seen);
          if (answer !== undefined) finish(() => resolve(answer));
        } catch (error) {
          finish(() => reject(error));
        }
      };
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp);
      this.#listeners.add(look);
      look();
      if (signal?.aborted) giveUp();
    });
  }

  close(): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  #see(seen: Seen): void {
    this.#seen = seen;
    for (const listener of this.#listeners) listener();
  }
}
