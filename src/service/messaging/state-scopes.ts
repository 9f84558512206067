import { agentScopeOf, type StateStore } from '../../ports/state-store.ts';

/** What the daemon itself keeps in the state store. */
export const DAEMON_SCOPE = 'daemon';
const PREFIX = 'agents/';
const PAGE = 500;

/** Which agents have state of their own: a store does not tell its scopes, and what an agent leaves must be found. */
export class StateScopes {
  readonly #state: StateStore;
  readonly #noted = new Set<string>();

  constructor(state: StateStore) {
    this.#state = state;
  }

  /** Before the first write: a scope that nobody knows of would stay for ever. */
  async note(agentId: string): Promise<void> {
    if (this.#noted.has(agentId)) return;
    await this.#state.put(DAEMON_SCOPE, PREFIX + agentId, true);
    this.#noted.add(agentId);
  }

  async all(): Promise<string[]> {
    const found: string[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.#state.list(DAEMON_SCOPE, {
        prefix: PREFIX,
        limit: PAGE,
        ...(after === undefined ? {} : { after }),
      });
      found.push(...page.map(({ key }) => key.slice(PREFIX.length)));
      after = page.at(-1)?.key;
      if (page.length < PAGE) return found;
    }
  }

  async clear(agentId: string): Promise<void> {
    this.#noted.delete(agentId);
    await this.#state.clear(agentScopeOf(agentId));
    await this.#state.delete(DAEMON_SCOPE, PREFIX + agentId);
  }
}
