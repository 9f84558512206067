import type { CodedError } from '../../contract/errors.ts';
import type { Delivery, MessageBus } from '../../ports/message-bus.ts';
import { PAGE_BYTES, sizeOf } from './page-size.ts';

export interface Poll {
  consumer: string;
  /** Asked each time: who receives from which queue may change while it waits. */
  queues: () => readonly string[];
  max: number;
  /** @default the queue's */
  leaseMs?: number;
  /** Only messages with this one. */
  correlationId?: string;
  /** A name for this receive, as `MessageBus.handedOut` knows it. */
  receiveId?: string;
  /** How long to wait for the first one; 0: not at all. */
  waitMs: number;
  /** Its receiver is gone: what it would have got is given back. */
  signal?: AbortSignal;
}

/**
 * Hands out messages to those who wait for them. Of several who wait for one queue, the one with the fewest messages in
 * hand comes first, then the one that has waited longest; who waits for one answer (`correlationId`) comes before both.
 */
export class Receivers {
  readonly #bus: MessageBus;
  readonly #waiting = new Map<string, Set<Waiter>>();
  readonly #unwatch: () => void;
  /** Who is served again, together. */
  readonly #later = new Set<Waiter>();
  #turn: NodeJS.Immediate | undefined;
  #order = 0;

  constructor(bus: MessageBus) {
    this.#bus = bus;
    this.#unwatch = bus.watch((change) => {
      if (change.kind !== 'queue') return;
      const waiters = this.#waiting.get(change.queue) ?? [];
      for (const waiter of waiters) waiter.news.add(change.queue);
      this.#serve(waiters);
    });
  }

  /** @returns at least one, unless the time is up or `signal` aborts */
  receive(poll: Poll): Promise<Delivery[]> {
    if (poll.signal?.aborted) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      this.#order += 1;
      const leave = (waiter: Waiter): void => {
        this.#leave(waiter);
        this.#end(waiter).then(resolve, reject);
      };
      const waiter = new Waiter(poll, this.#order, leave);
      this.#enter(waiter);
      this.#serve(this.#rivalsOf(waiter));
      // Its first try is under way.
      if (poll.waitMs === 0) waiter.giveUp();
      else waiter.watchTime();
    });
  }

  /** Who receives from which queue has changed. */
  refresh(): void {
    for (const waiter of this.#all()) {
      const before = waiter.queues;
      const after = waiter.poll.queues();
      if (before.length === after.length && after.every((queue) => before.includes(queue))) continue;
      this.#leave(waiter);
      this.#enter(waiter);
      this.#serve(this.#rivalsOf(waiter));
    }
  }

  /** Calls that wait as this consumer get the error instead of what comes next. */
  dismiss(consumer: string, error: CodedError): void {
    for (const waiter of this.#all()) {
      if (waiter.poll.consumer !== consumer) continue;
      waiter.failure = { error };
      waiter.giveUp();
    }
  }

  close(): void {
    this.#unwatch();
    for (const waiter of this.#all()) waiter.giveUp();
  }

  #all(): Set<Waiter> {
    return new Set([...this.#waiting.values()].flatMap((each) => [...each]));
  }

  #enter(waiter: Waiter): void {
    waiter.queues = waiter.poll.queues();
    for (const queue of waiter.queues) {
      waiter.news.add(queue);
      const waiting = this.#waiting.get(queue) ?? new Set();
      this.#waiting.set(queue, waiting.add(waiter));
    }
  }

  #leave(waiter: Waiter): void {
    for (const queue of waiter.queues) {
      const waiting = this.#waiting.get(queue);
      waiting?.delete(waiter);
      if (waiting?.size === 0) this.#waiting.delete(queue);
    }
  }

  /** All who wait for what it waits for, itself included. */
  #rivalsOf(waiter: Waiter): Set<Waiter> {
    const rivals = new Set([waiter]);
    for (const queue of waiter.queues) for (const rival of this.#waiting.get(queue) ?? []) rivals.add(rival);
    return rivals;
  }

  /** Lets them take what there is. Who is being served already is served again for its news, should it come to nothing. */
  #serve(waiters: Iterable<Waiter>): void {
    const free = [...waiters].filter(({ busy }) => !busy);
    if (free.length === 0) return;
    for (const waiter of free) waiter.busy = true;
    // What comes from here on is news again.
    const news = new Set(free.flatMap((waiter) => [...waiter.news]));
    for (const waiter of free) waiter.news.clear();
    const served = free.length === 1 ? this.#take(free[0] as Waiter) : this.#share(free, news);
    served
      .catch((error: unknown) => {
        // Those who have got something keep it; the others get the error.
        for (const waiter of free) if (waiter.got.length === 0) waiter.failure = { error };
      })
      .then(() => this.#served(free))
      .catch(() => undefined);
  }

  #served(waiters: Waiter[]): void {
    for (const waiter of waiters) {
      waiter.busy = false;
      if (waiter.isThrough) waiter.end();
      else if (waiter.news.size > 0) this.#later.add(waiter);
    }
    if (this.#later.size === 0 || this.#turn !== undefined) return;
    // Those who were asked for at the same time have their answers by then: one alone would take what is for all.
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      const again = [...this.#later];
      this.#later.clear();
      for (const waiter of again) if (!waiter.busy && !waiter.isThrough) this.#serve(this.#rivalsOf(waiter));
    });
  }

  async #take(waiter: Waiter, max = waiter.room): Promise<boolean> {
    const { consumer, leaseMs, correlationId, receiveId, queues } = waiter.poll;
    const taken = await this.#bus.receive({
      queues: queues(),
      consumer,
      max,
      maxBytes: PAGE_BYTES,
      ...(leaseMs === undefined ? {} : { leaseMs }),
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(receiveId === undefined ? {} : { receiveId }),
    });
    // More of them may follow.
    if (max < waiter.room) waiter.bytes += sizeOf(taken.map(({ payload }) => payload));
    waiter.got.push(...taken);
    return taken.length > 0;
  }

  /**
   * One message after the other, each to the consumer with the fewest. Several are asked for at once only as long as each try
   * brings something, and only for those who have the same number: so one message costs one call, and many few rounds.
   * @param news the queues that may hold something; from which of them nothing is left, goes
   */
  async #share(waiters: Waiter[], news: Set<string>): Promise<void> {
    const held = await this.#bus.inFlight([...new Set(waiters.map(({ poll }) => poll.consumer))]);
    // One consumer may wait several times at once.
    const inHand = new Map(Object.entries(held));
    const load = ({ poll }: Waiter): number => inHand.get(poll.consumer) ?? 0;
    const hasChance = ({ queues, isGone }: Waiter): boolean => !isGone && queues.some((queue) => news.has(queue));
    let open = waiters.filter(hasChance);
    let width = 1;
    while (open.length > 0) {
      const ranked = open.toSorted((a, b) => a.rank - b.rank || load(a) - load(b) || a.order - b.order);
      const first = ranked[0] as Waiter;
      const equal = ranked.filter((each) => each.rank === first.rank && load(each) === load(first));
      const next = onePerConsumer(equal).slice(0, width);
      const wasIdle = load(first) === 0;
      const tries = await Promise.allSettled(next.map((each) => this.#take(each, 1)));
      const failed = tries.find((each) => each.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      const empty = new Set(next.filter((_, n) => (tries[n] as PromiseFulfilledResult<boolean>).value === false));
      for (const each of next) if (!empty.has(each)) inHand.set(each.poll.consumer, load(each) + 1);
      // A consumer that holds nothing and takes anything is refused nothing: its queues are empty.
      if (first.rank === 1 && wasIdle) for (const { queues } of empty) for (const queue of queues) news.delete(queue);
      width = empty.size > 0 ? 1 : width * 2;
      open = open.filter((each) => each.room > 0 && !empty.has(each) && hasChance(each));
    }
  }

  async #end(waiter: Waiter): Promise<Delivery[]> {
    const { got, failure } = waiter;
    if (!waiter.isGone) return got;
    const reason = 'its receiver was gone when it was handed out';
    // What cannot be given back is handed out again when its lease has run out.
    await Promise.allSettled(got.map(({ id, lease }) => this.#bus.nack({ id, lease }, { delayMs: 0, reason })));
    if (failure !== undefined) throw failure.error;
    return [];
  }
}

/** The first of each: what one of its polls takes counts against the others. */
function onePerConsumer(waiters: Waiter[]): Waiter[] {
  const firsts = new Map<string, Waiter>();
  for (const waiter of waiters) if (!firsts.has(waiter.poll.consumer)) firsts.set(waiter.poll.consumer, waiter);
  return [...firsts.values()];
}

class Waiter {
  readonly poll: Poll;
  readonly order: number;
  /** Who waits for one answer comes first: nobody else wants it. */
  readonly rank: 0 | 1;
  queues: readonly string[] = [];
  readonly got: Delivery[] = [];
  /** Of what it has got so far, about. */
  bytes = 0;
  busy = false;
  /** Those of its queues in which something may have come since it was last served. */
  readonly news = new Set<string>();
  failure: { error: unknown } | undefined;
  readonly #leave: (waiter: Waiter) => void;
  #isOver = false;
  #hasEnded = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #onAbort = (): void => this.giveUp();

  constructor(poll: Poll, order: number, leave: (waiter: Waiter) => void) {
    this.poll = poll;
    this.order = order;
    this.rank = poll.correlationId === undefined ? 1 : 0;
    this.#leave = leave;
    poll.signal?.addEventListener('abort', this.#onAbort);
  }

  get room(): number {
    return this.bytes >= PAGE_BYTES ? 0 : this.poll.max - this.got.length;
  }

  /** Nobody is there any more for what it would get. */
  get isGone(): boolean {
    return this.failure !== undefined || this.poll.signal?.aborted === true;
  }

  get isThrough(): boolean {
    return this.got.length > 0 || this.failure !== undefined || this.#isOver;
  }

  watchTime(): void {
    this.#timer = setTimeout(this.#onAbort, this.poll.waitMs);
  }

  /** The call waits no longer; what is being served to it, it still gets. */
  giveUp(): void {
    this.#isOver = true;
    if (!this.busy) this.end();
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.poll.signal?.removeEventListener('abort', this.#onAbort);
    this.#leave(this);
  }
}
