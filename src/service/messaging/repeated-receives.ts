import type { Delivery, MessageBus } from '../../ports/message-bus.ts';
import type { Poll, Receivers } from './receivers.ts';

type NamedPoll = Poll & { receiveId: string };

/**
 * Receives that have a name, so that one whose answer was lost can be repeated: it gets what was handed out to it. If the one
 * before still waits, nobody listens to it any more; it ends, and takes nothing that the other is to have.
 */
export class RepeatedReceives {
  readonly #bus: MessageBus;
  readonly #receivers: Receivers;
  readonly #latest = new Map<string, { replace: () => void; ended: Promise<void> }>();

  constructor(bus: MessageBus, receivers: Receivers) {
    this.#bus = bus;
    this.#receivers = receivers;
  }

  async receive(poll: NamedPoll): Promise<Delivery[]> {
    const key = `${poll.consumer} ${poll.receiveId}`;
    const before = this.#latest.get(key);
    before?.replace();
    const replaced = new AbortController();
    const received = this.#receiveAfter(before?.ended, poll, replaced.signal);
    const own = { replace: () => replaced.abort(), ended: received.then(ignore, ignore) };
    this.#latest.set(key, own);
    try {
      return await received;
    } finally {
      if (this.#latest.get(key) === own) this.#latest.delete(key);
    }
  }

  async #receiveAfter(before: Promise<void> | undefined, poll: NamedPoll, replaced: AbortSignal): Promise<Delivery[]> {
    // What it was being handed in that moment is given back by then, so that its lease is no trap for this one.
    await before;
    const { consumer, receiveId } = poll;
    const held = await this.#bus.handedOut({ queues: poll.queues(), consumer, receiveId });
    if (held.length > 0) return held;
    const signal = poll.signal === undefined ? replaced : AbortSignal.any([poll.signal, replaced]);
    return this.#receivers.receive({ ...poll, signal });
  }
}

const ignore = (): void => undefined;
