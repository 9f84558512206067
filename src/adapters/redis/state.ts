import type { Json } from '../../domain/messages/message.ts';
import type { ListRequest, PutOptions, StateEntry, StateOptions, StateStore } from '../../ports/state-store.ts';
import { versionConflict } from '../bus-errors.ts';
import { optional } from './rows.ts';
import { type StateScripts, stateScripts } from './scripts.ts';
import type { RedisSettings } from './settings.ts';
import { RedisStore } from './store.ts';

type Answer = readonly [outcome: string, ...rest: unknown[]];
/** What has expired is removed some at a time; so often a call waits for that. Nobody sees it meanwhile. */
const ROUNDS = 5;
const SWEEP_MS = 60_000;

/** Agents' state in Redis. Each call is one Lua script, or a single read. */
export class RedisState implements StateStore {
  private readonly store: RedisStore;
  private readonly scripts: StateScripts = stateScripts();
  private readonly now: () => number;
  private readonly sweeps: NodeJS.Timeout;

  /** @throws Error that says why the Redis cannot be used */
  static async open(settings: RedisSettings, options: StateOptions): Promise<RedisState> {
    const state = new RedisState(settings, options);
    try {
      await state.store.open();
    } catch (error) {
      await state.close(0);
      throw error;
    }
    return state;
  }

  private constructor(settings: RedisSettings, { now = Date.now, warn }: StateOptions) {
    this.now = () => Math.floor(now());
    this.store = new RedisStore({
      settings,
      what: 'The state store',
      code: 'STATE_UNAVAILABLE',
      scripts: this.scripts,
      openArgs: () => [String(this.now()), '0'],
      warn,
    });
    // Nobody sees what has expired; this is for its room.
    this.sweeps = setInterval(() => void this.run('tend', []).catch(() => undefined), SWEEP_MS);
    this.sweeps.unref();
  }

  get durability(): StateStore['durability'] {
    return this.store.durability;
  }

  async get(scope: string, key: string): Promise<StateEntry | undefined> {
    const values = this.store.keyOf(`s:v:${scope}`);
    const text = (await this.store.call(() => this.store.command(['HGET', values, key]))) as string | null;
    const entry = text === null ? undefined : entryOf(key, text);
    const isOver = entry?.expiresAtMs != null && entry.expiresAtMs <= this.now();
    return isOver ? undefined : entry;
  }

  async put(scope: string, key: string, value: Json, { expectedVersion, ttlMs }: PutOptions = {}): Promise<StateEntry> {
    const text = JSON.stringify(value);
    const answer = await this.call('put', [scope, key, text, numberOr(expectedVersion), numberOr(ttlMs)]);
    if (answer[0] === 'conflict') throw versionConflict(scope, key, expectedVersion ?? 0, answer[1] as number);
    const [, version, updated, expires] = answer as [string, number, string, string];
    return {
      key,
      value: JSON.parse(text) as Json,
      version,
      updatedAtMs: Number(updated),
      expiresAtMs: expires === '' ? null : Number(expires),
    };
  }

  async delete(scope: string, key: string, options: { expectedVersion?: number } = {}): Promise<boolean> {
    const { expectedVersion } = options;
    const [outcome, found] = await this.call('delete', [scope, key, numberOr(expectedVersion)]);
    if (outcome === 'conflict') throw versionConflict(scope, key, expectedVersion ?? 0, found as number);
    return found === 1;
  }

  async list(scope: string, { prefix = '', after, limit }: ListRequest): Promise<StateEntry[]> {
    const found: StateEntry[] = [];
    const isInside = after !== undefined && Buffer.compare(Buffer.from(after), Buffer.from(prefix)) >= 0;
    let position = isInside ? after : undefined;
    while (found.length < limit) {
      const wanted = [scope, prefix, optional(position), String(limit - found.length)];
      const [, flat, next] = await this.call('list', wanted);
      const texts = flat as string[];
      for (let at = 0; at < texts.length; at += 2) found.push(entryOf(texts[at] as string, texts[at + 1] as string));
      if (next === '') break;
      position = (next as string).slice(1);
    }
    return found;
  }

  async clear(scope: string): Promise<number> {
    let cleared = 0;
    for (;;) {
      const [, count, left] = await this.call('clear', [scope]);
      cleared += count as number;
      if (left === 0) return cleared;
    }
  }

  close(deadlineMs?: number): Promise<{ unsent: number }> {
    clearInterval(this.sweeps);
    return this.store.close(deadlineMs);
  }

  private call(name: keyof StateScripts, args: readonly string[]): Promise<Answer> {
    return this.store.call(() => this.run(name, args));
  }

  private async run(name: keyof StateScripts, args: readonly string[]): Promise<Answer> {
    for (let round = 1; ; round += 1) {
      const all = [String(this.now()), round <= ROUNDS ? '1' : '0', ...args];
      const answer = (await this.store.run(this.scripts[name], all)) as Answer;
      if (answer[0] !== 'again') return answer;
    }
  }
}

const numberOr = (value: number | undefined): string => (value === undefined ? '' : String(value));

/** `version updated expires value`, as the scripts write it. */
function entryOf(key: string, text: string): StateEntry {
  const [head, version, updated, expires] = /^(\d+) (\d+) (\d*) /.exec(text) as unknown as [
    string,
    string,
    string,
    string,
  ];
  return {
    key,
    value: JSON.parse(text.slice(head.length)) as Json,
    version: Number(version),
    updatedAtMs: Number(updated),
    expiresAtMs: expires === '' ? null : Number(expires),
  };
}
