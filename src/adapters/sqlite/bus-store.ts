import type Database from 'libsql';
import type { OutgoingMessage } from '../../domain/messages/message.ts';
import type { QueueSettings } from '../../domain/messages/queue-settings.ts';
import type {
  BrowseRequest,
  BusChange,
  BusOptions,
  EventsRequest,
  HandedOutRequest,
  LeaseRef,
  NackOptions,
  OutgoingEvent,
  ReceiveRequest,
} from '../../ports/message-bus.ts';
import { createBrowse } from './bus-browse.ts';
import { createChanges } from './bus-changes.ts';
import { createDeaths } from './bus-deaths.ts';
import { createFacts } from './bus-facts.ts';
import { createIds } from './bus-ids.ts';
import { createLeases } from './bus-leases.ts';
import { type AsText, createMessages, DEAD } from './bus-messages.ts';
import { createQueues } from './bus-queues.ts';
import { createSending } from './bus-sending.ts';
import { createTally, EVERY_QUEUE, heldBy } from './bus-tally.ts';
import { createTopics } from './bus-topics.ts';
import { createQuota } from './quota.ts';
import { type Store, Unfinished } from './thread-worker.ts';

/** What can be copied to a thread. */
export type PlainBusOptions = Omit<BusOptions, 'now' | 'warn'>;

/** `nowMs`: when it was called, by the clock of the bus. */
export type BusOperation = { nowMs: number } & (
  | { op: 'send'; messages: AsText<OutgoingMessage>[] }
  | { op: 'receive'; request: ReceiveRequest }
  | { op: 'handedOut'; request: HandedOutRequest }
  | { op: 'ack'; lease: LeaseRef }
  | { op: 'nack'; lease: LeaseRef; options: NackOptions }
  | { op: 'extend'; lease: LeaseRef; leaseMs: number }
  | { op: 'release'; consumer: string }
  | { op: 'inFlight'; consumers: readonly string[] }
  | { op: 'configure'; queue: string; settings: Partial<QueueSettings> }
  | { op: 'queue'; queue: string }
  | { op: 'queues' }
  | { op: 'browse'; request: BrowseRequest }
  | { op: 'requeue' | 'discard'; queue: string; ids: readonly string[] | undefined; soFar: SoFar | undefined }
  | { op: 'deleteQueue'; queue: string; upTo: number | undefined }
  | { op: 'publish'; event: AsText<OutgoingEvent> }
  | { op: 'events'; request: EventsRequest }
  | { op: 'latestEvent' }
  | { op: 'topics' }
  /** What is due by itself is looked after before anything is performed. */
  | { op: 'tick' }
  | { op: 'sweep' }
);

/** Of what takes several transactions. */
interface SoFar {
  moved: number;
  startedMs: number;
}

/** What is merely old is cleared away so often. */
const PRUNE_EVERY_MS = 60_000;
/** Free pages beyond this share and count are given back to the file system, some at a time. */
const SPARE = { share: 0.25, pages: 2_000, step: 1_000 };

/** The message bus on an open database. */
export function createBusStore(db: Database.Database, options: PlainBusOptions): Store<BusOperation, BusChange> {
  const facts = createFacts(db);
  adapt(db, facts, options);
  const ids = createIds(facts.get('bornMs') as number);
  const tally = createTally(db);
  const changes = createChanges();
  const queues = createQueues(db, options.defaults, tally);
  const messages = createMessages({ db, ids, facts, tally, queues, changes, ageingMs: options.ageingMs });
  const checkRoom = createQuota(db, {
    what: 'message bus',
    limitBytes: options.limitBytes,
    setting: 'messages.max_bytes',
    wayOut: 'receive and acknowledge messages, discard dead letters, keep fewer events (`topics`)',
  });
  const topics = createTopics({ db, kept: options.topics, facts, changes, checkRoom });
  const deaths = createDeaths({ db, ids, tally, queues, messages, topics, keptMs: options.deadLettersKeptMs });
  const leases = createLeases({ db, ids, tally, queues, messages, deaths });
  const sending = createSending({ db, ids, tally, queues, messages, checkRoom });
  const browse = createBrowse({ db, ids, queues, messages });
  const freePages = db.prepare('PRAGMA freelist_count').raw();
  const pages = db.prepare('PRAGMA page_count').raw();

  let prunedMs = Number.NEGATIVE_INFINITY;
  let dueMs = nextDueMs();
  let isStale = false;
  for (let isMore = true; isMore;) {
    db.exec('BEGIN IMMEDIATE');
    isMore = topics.trimSome();
    topics.flush();
    db.exec('COMMIT');
  }

  function nextDueMs(): number {
    return Math.min(leases.dueMs() ?? Infinity, topics.dueMs() ?? Infinity, prunedMs + PRUNE_EVERY_MS);
  }

  function sweep(nowMs: number): unknown {
    let isBehind = leases.sweep(nowMs);
    isBehind = topics.expire(nowMs) || isBehind;
    if (Math.abs(nowMs - prunedMs) >= PRUNE_EVERY_MS) {
      if (prune(nowMs)) isBehind = true;
      else prunedMs = nowMs;
    }
    return isBehind ? new Unfinished<BusOperation>({ op: 'sweep', nowMs }) : undefined;
  }

  function prune(nowMs: number): boolean {
    topics.prune(nowMs);
    queues.prune();
    return sending.expire(nowMs) || giveBack();
  }

  function giveBack(): boolean {
    const [free] = freePages.get() as [number];
    const [all] = pages.get() as [number];
    if (free < SPARE.pages || free < all * SPARE.share) return false;
    db.exec(`PRAGMA incremental_vacuum(${SPARE.step})`);
    return (freePages.get() as [number])[0] < free;
  }

  function moveDead(operation: BusOperation & { op: 'requeue' | 'discard' }): unknown {
    const { op, queue, ids: wanted, nowMs, soFar = { moved: 0, startedMs: nowMs } } = operation;
    if (op === 'requeue' && operation.soFar === undefined) deaths.checkRequeue(queue, wanted);
    const { moved, more } =
      op === 'requeue'
        ? deaths.requeue(queue, wanted, soFar.startedMs, nowMs)
        : deaths.discard(queue, wanted, soFar.startedMs);
    const total = soFar.moved + moved;
    return more ? new Unfinished<BusOperation>({ ...operation, soFar: { ...soFar, moved: total } }) : total;
  }

  function deleteQueue(operation: BusOperation & { op: 'deleteQueue' }): unknown {
    const { queue, nowMs, upTo = facts.latestSeq() } = operation;
    const isMore = deaths.deleteQueue(queue, upTo, nowMs).more || sending.forget(queue, upTo);
    return isMore ? new Unfinished<BusOperation>({ ...operation, upTo }) : undefined;
  }

  function perform(operation: BusOperation): unknown {
    const { nowMs } = operation;
    switch (operation.op) {
      case 'send':
        return sending.send(operation.messages, nowMs);
      case 'receive':
        return leases.receive(operation.request, nowMs);
      case 'handedOut':
        return leases.handedOut(operation.request, nowMs);
      case 'ack':
        return leases.ack(operation.lease, nowMs);
      case 'nack':
        return leases.nack(operation.lease, operation.options, nowMs);
      case 'extend':
        return leases.extend(operation.lease, operation.leaseMs, nowMs);
      case 'release':
        return leases.release(operation.consumer, nowMs);
      case 'inFlight':
        return operation.consumers
          .map((consumer) => [consumer, tally.of(EVERY_QUEUE, heldBy(consumer))] as const)
          .filter(([, count]) => count > 0);
      case 'configure':
        queues.configure(operation.queue, operation.settings);
        return changes.ready(queues.need(operation.queue));
      case 'queue':
        return queues.stats(operation.queue);
      case 'queues':
        return queues.list();
      case 'browse':
        return browse(operation.request);
      case 'requeue':
      case 'discard':
        return moveDead(operation);
      case 'deleteQueue':
        return deleteQueue(operation);
      case 'publish':
        return topics.publish(operation.event, nowMs);
      case 'events':
        return topics.events(operation.request);
      case 'latestEvent':
        return facts.latestCursor();
      case 'topics':
        return topics.list();
      case 'tick':
        return undefined;
      case 'sweep':
        return sweep(nowMs);
    }
  }

  return {
    perform,
    // Even a look may find that something is due; what is handed out is told by the time of the call.
    isRead: ({ op }) => op === 'handedOut',
    takeChanges: changes.take,
    upkeep(operations) {
      const nowMs = Math.max(...operations.map((operation) => operation.nowMs));
      return nowMs >= dueMs ? [{ op: 'sweep', nowMs }] : [];
    },
    beforeCommit() {
      tally.flush();
      topics.flush();
      facts.flush();
      dueMs = nextDueMs();
    },
    rolledBack() {
      isStale = true;
    },
    begin() {
      if (!isStale) return;
      tally.reset();
      queues.reset();
      topics.reset();
      facts.reset();
      isStale = false;
    },
    dueMs: () => dueMs,
  };
}

/** What is in the database was written under other options, perhaps. */
function adapt(db: Database.Database, facts: ReturnType<typeof createFacts>, options: PlainBusOptions): void {
  const { ageingMs, deadLettersKeptMs } = options;
  db.exec('BEGIN IMMEDIATE');
  if (facts.get('bornMs') === undefined) facts.set('bornMs', Date.now());
  if (facts.get('ageingMs') !== ageingMs) {
    // Else a message would be compared by two rules with those of its sender that came before it.
    db.prepare('UPDATE message SET rank = sent_ms - priority * ?').run(ageingMs);
    facts.set('ageingMs', ageingMs);
  }
  if (facts.get('deadLettersKeptMs') !== deadLettersKeptMs) {
    db.prepare(`UPDATE message SET due_ms = until_ms + ? WHERE state = ${DEAD}`).run(deadLettersKeptMs);
    facts.set('deadLettersKeptMs', deadLettersKeptMs);
  }
  db.exec('COMMIT');
}
