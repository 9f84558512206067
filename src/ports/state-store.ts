import type { Json } from '../domain/messages/message.ts';

/**
 * Values by key, each with a version, in scopes: `shared`, or `agent/<agent_id>` for what belongs to one agent.
 *
 * A call that has resolved is durable, as `durability` says. Reads see every write that has resolved. A call that the store
 * could not serve is refused with STATE_UNAVAILABLE, as is every call after `close`.
 */
export interface StateStore {
  readonly durability: { survivesPowerLoss: boolean; says: string };
  get(scope: string, key: string): Promise<StateEntry | undefined>;
  /**
   * Writes a value. With `expectedVersion`, only if the entry has it; 0 means that there is none.
   * @throws CodedError VERSION_CONFLICT with details `{ scope, key, version }`, the version that there is (0: none);
   * STORAGE_FULL
   */
  put(scope: string, key: string, value: Json, options?: PutOptions): Promise<StateEntry>;
  /** @returns whether there was one @throws CodedError VERSION_CONFLICT */
  delete(scope: string, key: string, options?: { expectedVersion?: number }): Promise<boolean>;
  /** By key (in the order of its UTF-8 bytes), those with the prefix and above `after`. */
  list(scope: string, request: ListRequest): Promise<StateEntry[]>;
  /** The whole scope goes. @returns how many entries */
  clear(scope: string): Promise<number>;
  close(deadlineMs?: number): Promise<{ unsent: number }>;
}

export interface StateEntry {
  key: string;
  value: Json;
  /** Grows with each write of the key, also across a deletion. */
  version: number;
  updatedAtMs: number;
  /** Gone from then on. */
  expiresAtMs: number | null;
}

export interface PutOptions {
  expectedVersion?: number;
  ttlMs?: number;
}

export interface ListRequest {
  prefix?: string;
  after?: string;
  limit: number;
}

export interface StateOptions {
  /**
   * Holding about so much, it refuses with STORAGE_FULL what is longer than before, but for the daemon's own scopes. A store
   * whose server has a limit of its own may leave it to that. @default none
   */
  limitBytes?: number;
  now?: () => number;
  warn: (message: string) => void;
}

export const SHARED_SCOPE = 'shared';
export const agentScopeOf = (agentId: string): string => `agent/${agentId}`;
/** The key under which an agent keeps what its next incarnation is to be given at its start. */
export const SNAPSHOT_KEY = 'snapshot';
