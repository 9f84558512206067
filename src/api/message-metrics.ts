import { Counter, Gauge, type Registry } from 'prom-client';
import type { QueueStats } from '../ports/message-bus.ts';
import type { MessageCounts } from '../service/messaging/message-counts.ts';

/** Of more queues, those that hold the most are shown. */
const MAX_QUEUES = 500;

/** Queues have as many series as there are agents and work queues; what passes through them is counted by kind. */
export function measureMessages(registry: Registry, counts: MessageCounts): void {
  const registers = [registry];
  new Gauge({
    name: 'openstarry_queue_messages',
    help: 'Messages in a queue, by what becomes of them; the mailbox of an agent is @<agent_id>',
    labelNames: ['queue', 'state'],
    registers,
    async collect() {
      const queues = largest(await counts.depths());
      this.reset();
      for (const { name, ...stats } of queues) {
        for (const state of ['ready', 'leased', 'delayed', 'dead'] as const) {
          this.set({ queue: name, state }, stats[state]);
        }
      }
    },
  });
  new Counter({
    name: 'openstarry_messages_sent_total',
    help: 'Messages that were sent, without duplicates, since the daemon started',
    labelNames: ['to'],
    registers,
    collect() {
      this.reset();
      for (const [to, count] of Object.entries(counts.sentTo)) this.inc({ to }, count);
    },
  });
  new Counter({
    name: 'openstarry_messages_acked_total',
    help: 'Messages that were acknowledged since the daemon started',
    registers,
    collect() {
      this.reset();
      this.inc(counts.ackedInAll);
    },
  });
  new Counter({
    name: 'openstarry_messages_dead_total',
    help: 'Messages that became dead letters since the daemon started',
    labelNames: ['cause'],
    registers,
    collect() {
      this.reset();
      for (const [cause, count] of Object.entries(counts.died)) this.inc({ cause }, count);
    },
  });
}

function largest(queues: readonly QueueStats[]): readonly QueueStats[] {
  if (queues.length <= MAX_QUEUES) return queues;
  const size = ({ ready, leased, delayed, dead }: QueueStats): number => ready + leased + delayed + dead;
  return queues.toSorted((a, b) => size(b) - size(a)).slice(0, MAX_QUEUES);
}
