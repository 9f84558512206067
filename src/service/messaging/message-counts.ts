import type { DeathCause } from '../../domain/messages/dead-letters.ts';
import { ownerOf } from '../../domain/messages/queue-name.ts';
import { DEAD_LETTER_TOPIC } from '../../domain/messages/topic.ts';
import type { MessageBus, QueueStats } from '../../ports/message-bus.ts';

/** Of one read of the dead letters' topic. */
const PAGE = 500;
/** Metrics are answered with what was last known of a bus that takes longer. */
const DEPTH_WITHIN_MS = 500;

/** What passes through since the start of the daemon, for its metrics: by few names, however many queues there are. */
export class MessageCounts {
  readonly #bus: MessageBus;
  readonly sentTo = { mailbox: 0, work: 0 };
  readonly died: Record<DeathCause, number> = { expired: 0, attempts: 0, rejected: 0, deleted: 0 };
  ackedInAll = 0;
  #depths: QueueStats[] = [];
  #cursor: number | undefined;
  #reading: Promise<void> = Promise.resolve();
  #unwatch: () => void = () => undefined;

  constructor(bus: MessageBus) {
    this.#bus = bus;
  }

  async begin(): Promise<void> {
    this.#cursor = await this.#bus.latestEvent();
    this.#unwatch = this.#bus.watch((change) => {
      if (change.kind !== 'event' || change.topic !== DEAD_LETTER_TOPIC) return;
      this.#reading = this.#reading.then(() => this.#readDeaths()).catch(() => undefined); // the next one reads them
    });
  }

  sent(queue: string, count: number): void {
    this.sentTo[ownerOf(queue) === undefined ? 'work' : 'mailbox'] += count;
  }

  acked(): void {
    this.ackedInAll += 1;
  }

  /** What is in the queues; of a bus that does not answer, what was last known. */
  async depths(): Promise<readonly QueueStats[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), DEPTH_WITHIN_MS);
    });
    const known = this.#bus.queues().catch(() => undefined);
    this.#depths = (await Promise.race([known, late])) ?? this.#depths;
    clearTimeout(timer);
    return this.#depths;
  }

  close(): void {
    this.#unwatch();
  }

  async #readDeaths(): Promise<void> {
    for (let isMore = true; isMore;) {
      const after = this.#cursor ?? 0;
      const page = await this.#bus.events({ patterns: [DEAD_LETTER_TOPIC], after, limit: PAGE });
      for (const { payload } of page.events) {
        const cause = (payload as { cause?: unknown } | null)?.cause;
        if (typeof cause === 'string' && Object.hasOwn(this.died, cause)) this.died[cause as DeathCause] += 1;
      }
      this.#cursor = page.next;
      isMore = page.next > after;
    }
  }
}
