import type { BusChange } from '../../ports/message-bus.ts';
import type { Queue } from './bus-queues.ts';

export type Changes = ReturnType<typeof createChanges>;

/** What watchers are notified of after the commit, once per queue and topic. */
export function createChanges() {
  const queues = new Set<string>();
  const topics = new Set<string>();
  return {
    ready: ({ name }: Queue): void => void queues.add(name),
    event: (topic: string): void => void topics.add(topic),
    take(): BusChange[] {
      const changes: BusChange[] = [];
      for (const queue of queues) changes.push({ kind: 'queue', queue });
      for (const topic of topics) changes.push({ kind: 'event', topic });
      queues.clear();
      topics.clear();
      return changes;
    },
  };
}
