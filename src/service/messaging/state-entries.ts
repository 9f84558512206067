import { CodedError } from '../../contract/errors.ts';
import type { StateEntryView } from '../../contract/messaging-views.ts';
import type { Json } from '../../domain/messages/message.ts';
import { agentScopeOf, SHARED_SCOPE, type PutOptions, type StateStore } from '../../ports/state-store.ts';
import { admitCaller, type Call, type LiveGeneration } from '../caller.ts';
import { checkIsSelfOrExists, type KnownAgents } from './known-agents.ts';
import type { StateScopes } from './state-scopes.ts';
import { PAGE_BYTES, READ, sizeOf } from './page-size.ts';
import { entryView } from './views.ts';

/** What everybody shares, or what belongs to one agent. */
export type Scope = { kind: 'shared' } | { kind: 'agent'; agentId: string };

export interface StateEntriesDeps {
  state: StateStore;
  scopes: StateScopes;
  agents: KnownAgents;
  live: LiveGeneration;
}

export interface ListOptions {
  prefix?: string;
  after?: string;
  limit: number;
}

/** Values with versions. An agent reads and writes what is shared, and its own. */
export class StateEntries {
  readonly #deps: StateEntriesDeps;

  constructor(deps: StateEntriesDeps) {
    this.#deps = deps;
  }

  /** @throws CodedError STATE_NOT_FOUND */
  async get(call: Call, scope: Scope, key: string): Promise<StateEntryView> {
    const entry = await this.#deps.state.get(await this.#admit(call, scope, 'read'), key);
    if (entry === undefined) throw stateNotFound(scope, key);
    return entryView(entry);
  }

  /** @throws CodedError VERSION_CONFLICT with the version that there is */
  async put(call: Call, scope: Scope, key: string, value: Json, options: PutOptions): Promise<StateEntryView> {
    const name = await this.#admit(call, scope, 'write');
    if (scope.kind === 'agent') await this.#deps.scopes.note(scope.agentId);
    return entryView(await this.#deps.state.put(name, key, value, options));
  }

  /** @throws CodedError VERSION_CONFLICT */
  async delete(
    call: Call,
    scope: Scope,
    key: string,
    options: { expectedVersion?: number },
  ): Promise<{ key: string; deleted: boolean }> {
    const name = await this.#admit(call, scope, 'write');
    return { key, deleted: await this.#deps.state.delete(name, key, options) };
  }

  async list(
    call: Call,
    scope: Scope,
    { limit, after, prefix }: ListOptions,
  ): Promise<{ entries: StateEntryView[]; next: string | null }> {
    const name = await this.#admit(call, scope, 'read');
    const entries: StateEntryView[] = [];
    let from = after;
    for (let bytes = 0; entries.length < limit && bytes < PAGE_BYTES;) {
      const count = Math.min(READ, limit - entries.length);
      const page = await this.#deps.state.list(name, {
        limit: count,
        ...(prefix === undefined ? {} : { prefix }),
        ...(from === undefined ? {} : { after: from }),
      });
      entries.push(...page.map(entryView));
      from = page.at(-1)?.key ?? from;
      if (page.length < count) return { entries, next: null };
      bytes += sizeOf(page.map(({ value }) => value));
    }
    return { entries, next: from ?? null };
  }

  /** @returns the name of the scope @throws CodedError FORBIDDEN, AGENT_NOT_FOUND, STALE_INCARNATION */
  async #admit(call: Call, scope: Scope, verb: string): Promise<string> {
    await admitCaller(call, this.#deps.live);
    if (scope.kind === 'shared') return SHARED_SCOPE;
    checkIsSelfOrExists(this.#deps.agents, call, scope.agentId, `${verb} the state of`);
    return agentScopeOf(scope.agentId);
  }
}

function stateNotFound(scope: Scope, key: string): CodedError {
  const whose = scope.kind === 'shared' ? 'shared' : `of ${scope.agentId}`;
  return new CodedError('STATE_NOT_FOUND', `There is no state ${JSON.stringify(key)} ${whose}`, { key });
}
