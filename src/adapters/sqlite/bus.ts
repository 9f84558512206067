import type { Json } from '../../domain/messages/message.ts';
import type {
  BusChange,
  BusEvent,
  BusOptions,
  Delivery,
  EventsPage,
  LeaseRef,
  MessageBus,
  NackResult,
  PublishedEvent,
  QueueStats,
  Sent,
  StoredMessage,
  TopicStats,
} from '../../ports/message-bus.ts';
import type { AsText } from './bus-messages.ts';
import { BUS } from './bus-schema.ts';
import type { BusOperation, PlainBusOptions } from './bus-store.ts';
import { createListeners, openThread, workerUrl } from './thread.ts';

export interface SqliteBusOptions extends BusOptions {
  /** Test seam: the database may not grow beyond this. */
  maxBytes?: number;
}

/** A clock that is set, or a machine that slept, is noticed within this. */
const LOOK_EVERY_MS = 1000;

/**
 * The message bus in an SQLite file that a thread of its own looks after. What has been answered is on the disk.
 *
 * @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE; PLUGIN_FAILED for a file that is corrupt or of a newer version: it is
 * left as it is, because nobody else knows what it holds
 */
export async function openSqliteBus(file: string, options: SqliteBusOptions): Promise<MessageBus> {
  const { defaults, ageingMs, deadLettersKeptMs, topics, limitBytes, now = Date.now, warn, maxBytes } = options;
  const limit = limitBytes === undefined ? {} : { limitBytes };
  const plain: PlainBusOptions = { defaults, ageingMs, deadLettersKeptMs, topics, ...limit };
  const listeners = createListeners<BusChange>('message bus', warn);
  const alarm = createAlarm(now, () => call({ op: 'tick' }));
  const thread = await openThread<BusOperation, BusChange>({
    kind: BUS,
    file,
    workerUrl: workerUrl('bus-worker'),
    options: plain,
    warn,
    changed: listeners.tell,
    due: (dueMs) => alarm.set(dueMs),
    returned: tellOfAll,
    ...(maxBytes === undefined ? {} : { maxBytes }),
  });

  function call(operation: DistributiveOmit<BusOperation, 'nowMs'>): Promise<unknown> {
    return thread.call({ ...operation, nowMs: now() });
  }

  /** Watchers may not have been notified of what was sent and published last. */
  function tellOfAll(): void {
    const queues = (call({ op: 'queues' }) as Promise<QueueStats[]>).then((all) => {
      for (const { name, ready } of all) if (ready > 0) listeners.tell({ kind: 'queue', queue: name });
    });
    const topics = (call({ op: 'topics' }) as Promise<TopicStats[]>).then((all) => {
      for (const { topic } of all) listeners.tell({ kind: 'event', topic });
    });
    // A thread that has died again tells of all when it is back.
    Promise.all([queues, topics]).catch(() => undefined);
  }

  return {
    durability: {
      survivesPowerLoss: true,
      says: 'Every message is on the disk before it is answered (SQLite, synchronous=FULL)',
    },
    send: (messages) => call({ op: 'send', messages: messages.map(toText) }) as Promise<Sent[]>,
    receive: async (request) => {
      const deliveries = (await call({ op: 'receive', request })) as AsText<Delivery>[];
      return deliveries.map(fromText<Delivery>);
    },
    handedOut: async (request) => {
      const deliveries = (await call({ op: 'handedOut', request })) as AsText<Delivery>[];
      return deliveries.map(fromText<Delivery>);
    },
    ack: (lease) => call({ op: 'ack', lease: plainLease(lease) }) as Promise<void>,
    nack: (lease, options = {}) => call({ op: 'nack', lease: plainLease(lease), options }) as Promise<NackResult>,
    extend: (lease, leaseMs) =>
      call({ op: 'extend', lease: plainLease(lease), leaseMs }) as Promise<{ leaseUntilMs: number }>,
    release: (consumer) => call({ op: 'release', consumer }) as Promise<number>,
    inFlight: async (consumers) =>
      Object.fromEntries((await call({ op: 'inFlight', consumers })) as [string, number][]),
    configure: (queue, settings) => call({ op: 'configure', queue, settings }) as Promise<void>,
    queue: (queue) => call({ op: 'queue', queue }) as Promise<QueueStats | undefined>,
    queues: () => call({ op: 'queues' }) as Promise<QueueStats[]>,
    browse: async (request) => {
      const stored = (await call({ op: 'browse', request })) as AsText<StoredMessage>[];
      return stored.map(fromText<StoredMessage>);
    },
    requeue: (queue, ids) => call({ op: 'requeue', queue, ids, soFar: undefined }) as Promise<number>,
    discard: (queue, ids) => call({ op: 'discard', queue, ids, soFar: undefined }) as Promise<number>,
    deleteQueue: (queue) => call({ op: 'deleteQueue', queue, upTo: undefined }) as Promise<void>,
    publish: (event) => call({ op: 'publish', event: toText(event) }) as Promise<PublishedEvent>,
    events: async (request) => {
      const page = (await call({ op: 'events', request })) as Omit<EventsPage, 'events'> & {
        events: AsText<BusEvent>[];
      };
      return { ...page, events: page.events.map(fromText<BusEvent>) };
    },
    latestEvent: () => call({ op: 'latestEvent' }) as Promise<number>,
    topics: () => call({ op: 'topics' }) as Promise<TopicStats[]>,
    watch: listeners.add,
    async close(deadlineMs) {
      alarm.end();
      const outcome = await thread.close(deadlineMs);
      listeners.clear();
      return outcome;
    },
  };
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** It may come with the whole message. */
const plainLease = ({ id, lease, place }: LeaseRef): LeaseRef => ({
  id,
  lease,
  ...(place === undefined ? {} : { place }),
});

function toText<T extends { payload: Json }>({ payload, ...rest }: T): AsText<T> {
  return { ...rest, body: JSON.stringify(payload) };
}

function fromText<T extends { payload: Json }>({ body, ...rest }: AsText<T>): T {
  return { ...rest, payload: JSON.parse(body) as Json } as unknown as T;
}

/** Calls when the bus wants to be called by itself, by a clock that may be set meanwhile. */
function createAlarm(now: () => number, ring: () => Promise<unknown>) {
  let dueMs = Infinity;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;

  function wait(ms: number): void {
    clearTimeout(timer);
    if (!isOver) timer = setTimeout(look, ms).unref();
  }

  function look(): void {
    const leftMs = dueMs - now(); // a timer may go off a moment before the clock says so
    if (leftMs > 0) return wait(Math.min(LOOK_EVERY_MS, leftMs));
    wait(LOOK_EVERY_MS);
    // A disk that is full or gone refuses; it is asked again, and the caller gets the error.
    ring().catch(() => undefined);
  }

  return {
    set(newDueMs: number | null): void {
      const isSame = newDueMs === dueMs; // what was not done now will not be done a moment later
      dueMs = newDueMs ?? Infinity;
      if (!isSame) wait(Math.min(LOOK_EVERY_MS, Math.max(0, dueMs - now())));
    },
    end(): void {
      isOver = true;
      clearTimeout(timer);
    },
  };
}
