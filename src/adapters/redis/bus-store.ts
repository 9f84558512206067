import { randomUUID } from 'node:crypto';
import { mailboxOf } from '../../domain/messages/queue-name.ts';
import type { BusChange, BusOptions, LeaseRef } from '../../ports/message-bus.ts';
import { leaseStale, messageNotFound, queueFull } from '../bus-errors.ts';
import { RedisChanges } from './changes.ts';
import type { Durability } from './server.ts';
import { type BusScripts, busScripts } from './scripts.ts';
import type { RedisSettings } from './settings.ts';
import { RedisStore } from './store.ts';

/** So often what is due is looked after, unless something is known to be due before: another daemon may have left it. */
const TEND_MS = 1000;
/** So often a call waits until all that is due has been done, some at a time, before it goes on regardless. */
const ROUNDS = 10;

type BusScript = Exclude<keyof BusScripts, 'open' | 'tend'>;
/** What a script has answered: its outcome first. */
export type Answer = readonly [outcome: string, ...rest: unknown[]];

/** The scripts of the bus as functions; what is due is done with each, and in time without one. */
export class RedisBusStore {
  readonly now: () => number;
  private readonly store: RedisStore;
  private readonly changes: RedisChanges;
  private readonly scripts: BusScripts = busScripts();
  /** What the scripts know of this bus. */
  private readonly constants: string;
  private timer: NodeJS.Timeout | undefined;
  private nextTendAt = Number.POSITIVE_INFINITY;
  private isClosed = false;

  constructor(settings: RedisSettings, options: BusOptions) {
    const { defaults, ageingMs, deadLettersKeptMs, topics, now = Date.now, warn } = options;
    this.now = () => Math.floor(now());
    const origin = randomUUID();
    this.constants = JSON.stringify({ origin, defaults, ageing: ageingMs, deadLettersKeptMs, topics });
    this.changes = new RedisChanges({ settings, origin, warn, onReturn: () => void this.tellOfAll() });
    this.store = new RedisStore({
      settings,
      what: 'The message bus',
      code: 'BUS_UNAVAILABLE',
      scripts: this.scripts,
      openArgs: () => this.argsOf('0', []),
      warn,
      onReturn: () => void this.tellOfAll(),
    });
  }

  get durability(): Durability {
    return this.store.durability;
  }

  /** @throws Error that says why the Redis cannot be used; then nothing is left open */
  async open(): Promise<void> {
    try {
      await this.store.open();
      await this.changes.open();
    } catch (error) {
      await this.close(0);
      throw error;
    }
    this.tendIn(0);
  }

  /** @throws CodedError QUEUE_FULL, LEASE_STALE, MESSAGE_NOT_FOUND if the script says so; and as `RedisLink.run` */
  call(name: BusScript, args: readonly string[]): Promise<Answer> {
    return this.store.call(() => this.run(name, args));
  }

  /** Of a message that is handed out. */
  async callHeld(
    name: 'ack' | 'nack' | 'extend',
    { id, lease, place }: LeaseRef,
    args: readonly string[],
  ): Promise<Answer> {
    const answer = await this.call(name, [id, lease, placeText(place), ...args]);
    if (answer[0] === 'missing') throw messageNotFound(id);
    if (answer[0] === 'stale') throw leaseStale(id);
    return answer;
  }

  /** Names of all queues that are known. */
  async queueNames(): Promise<string[]> {
    return this.store.call(() => this.namesOf('queues'));
  }

  async latestCursor(): Promise<number> {
    return Number((await this.store.call(() => this.store.command(['HGET', this.store.keyOf('meta'), 'cursor']))) ?? 0);
  }

  watch(listener: (change: BusChange) => void): () => void {
    return this.changes.watch(listener);
  }

  /** Something will be due after each of these times: it is done then, not only with the next round. */
  tendBefore(...delaysMs: readonly (number | undefined)[]): void {
    const soonest = Math.min(...delaysMs.map((delayMs) => delayMs ?? Number.POSITIVE_INFINITY));
    if (soonest < TEND_MS && performance.now() + soonest < this.nextTendAt) this.tendIn(soonest);
  }

  async close(deadlineMs?: number): Promise<{ unsent: number }> {
    this.isClosed = true;
    clearTimeout(this.timer);
    const closed = await this.store.close(deadlineMs);
    this.changes.close();
    return closed;
  }

  private async run(name: BusScript | 'tend', args: readonly string[]): Promise<Answer> {
    for (let round = 1; ; round += 1) {
      const all = this.argsOf(round <= ROUNDS && name !== 'tend' ? '1' : '0', args);
      const [changes, answer] = (await this.store.run(this.scripts[name], all)) as [string[], Answer];
      this.changes.tell(changes);
      if (answer[0] === 'again') continue;
      if (answer[0] !== 'full') return answer;
      const [, queue, limit, from] = answer as [string, string, string, string | undefined];
      throw queueFull(queue, Number(limit), from);
    }
  }

  private argsOf(waits: '0' | '1', args: readonly string[]): string[] {
    return [String(this.now()), this.constants, waits, ...args];
  }

  private tendIn(delayMs: number): void {
    if (this.isClosed) return;
    clearTimeout(this.timer);
    this.nextTendAt = performance.now() + delayMs;
    this.timer = setTimeout(() => void this.tend(), delayMs);
  }

  private async tend(): Promise<void> {
    this.nextTendAt = Number.POSITIVE_INFINITY;
    let nextMs = TEND_MS;
    try {
      const [, isLeft, next] = await this.run('tend', []);
      if (isLeft === 1) nextMs = 0;
      else if (next !== '') nextMs = Math.min(TEND_MS, Math.max(1, Number(next) - this.now()));
    } catch {
      // Redis is away, which is reported elsewhere: what is due then is done when it is back.
    }
    if (performance.now() + nextMs < this.nextTendAt) this.tendIn(nextMs);
  }

  private async namesOf(key: 'queues' | 'topics'): Promise<string[]> {
    return (await this.store.command(['HKEYS', this.store.keyOf(key)])) as string[];
  }

  /** All who wait check again: what has happened meanwhile is not known. */
  private async tellOfAll(): Promise<void> {
    try {
      const [queues, topics] = [await this.namesOf('queues'), await this.namesOf('topics')];
      this.changes.tell([...queues.map((name) => `q${name}`), ...topics.map((name) => `t${name}`)]);
    } catch {
      // It is away again, and will be back again.
    }
  }
}

/** As held.lua reads it. */
function placeText(place: LeaseRef['place']): string {
  if (place === undefined) return '';
  return place.kind === 'queue' ? `q${place.queue}` : `m${mailboxOf(place.agentId)}`;
}
