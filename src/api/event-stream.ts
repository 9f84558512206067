/** Server-Sent Events, whatever they tell. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CodedError } from '../contract/errors.ts';
import type { ApiDeps } from './deps.ts';
import { endWithCaller, onceClosed } from './request-context.ts';

/** Each holds a connection and reads a database at each change. */
const MAX_STREAMS = 100;
const RETRY_MS = 2000;

export interface StreamTimes {
  /** A comment after so long a silence: proxies and clients find out that the connection lives. */
  heartbeatMs: number;
  /** Whoever takes nothing for so long is dropped. */
  slowMs: number;
}

export const STREAM_TIMES: StreamTimes = { heartbeatMs: 15_000, slowMs: 30_000 };

/** The streams of one route. */
export class EventStreams {
  readonly #times: StreamTimes;
  readonly #what: string;
  readonly #ends: ApiDeps['ends'];
  #open = 0;

  /** @param what is followed, for whoever is refused */
  constructor(what: string, ends: ApiDeps['ends'], times: StreamTimes = STREAM_TIMES) {
    this.#what = what;
    this.#ends = ends;
    this.#times = times;
  }

  /**
   * Answers with what comes, until the client hangs up, or the process ends whose token it shows.
   * @param open begins to follow, once it is clear that there is room
   * @throws CodedError RATE_LIMITED
   */
  async send<T>(
    reply: FastifyReply,
    open: () => Promise<AsyncIterable<T>>,
    textOf: (event: T) => string,
  ): Promise<FastifyReply> {
    if (this.#open >= MAX_STREAMS) {
      const message = `${this.#open} clients follow ${this.#what}; the limit is ${MAX_STREAMS}`;
      throw new CodedError('RATE_LIMITED', message, { limit: MAX_STREAMS });
    }
    // Before anything is waited for: whoever hangs up meanwhile gives the place back.
    this.#open += 1;
    onceClosed(reply, () => (this.#open -= 1));
    endWithCaller(reply.request, reply, this.#ends);
    const events = await open();
    reply
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-store')
      .header('x-content-type-options', 'nosniff')
      // nginx would hold it back.
      .header('x-accel-buffering', 'no');
    const texts = written(events, textOf, reply, this.#times);
    return reply.send(Readable.from(texts, { objectMode: false, highWaterMark: 1 }));
  }
}

/** Where the client's own reader of the stream had come to. @throws CodedError INVALID_REQUEST */
export function lastEventId(request: FastifyRequest): number | undefined {
  const given = request.headers['last-event-id'];
  if (given === undefined || given === '') return undefined;
  if (typeof given === 'string' && /^\d{1,15}$/.test(given)) return Number(given);
  const seen = JSON.stringify(String(given).slice(0, 60));
  throw new CodedError('INVALID_REQUEST', `The header Last-Event-ID is ${seen}; expected the id of an event`, {
    field: 'last-event-id',
  });
}

/** One event. `data` is one line: JSON has no other. */
export function eventText(event: string, data: unknown, id?: number): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

async function* written<T>(
  events: AsyncIterable<T>,
  textOf: (event: T) => string,
  reply: FastifyReply,
  { heartbeatMs, slowMs }: StreamTimes,
): AsyncGenerator<string> {
  const slow = setTimeout(() => reply.raw.destroy(), slowMs);
  const source = events[Symbol.asyncIterator]();
  let next = source.next();
  next.catch(() => undefined); // awaited below, if somebody still takes something
  try {
    // A stream pulls when there is room for more: between two pulls it is the client that is waited for.
    let text = `retry: ${RETRY_MS}\n: follows\n\n`;
    for (;;) {
      slow.refresh();
      yield text;
      slow.refresh();
      const event = await within(next, heartbeatMs);
      if (event === undefined) {
        text = ': alive\n\n';
        continue;
      }
      if (event.done === true) return;
      text = textOf(event.value);
      next = source.next();
      next.catch(() => undefined);
    }
  } finally {
    clearTimeout(slow);
    // Not awaited: it waits for the next event, or for the end of the request, which ends it.
    void source.return?.().catch(() => undefined);
  }
}

/** @returns undefined if it takes longer */
function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
