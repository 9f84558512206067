import type Database from 'libsql';
import type { QueueSettings } from '../../domain/messages/queue-settings.ts';
import type { QueueStats } from '../../ports/message-bus.ts';
import type { Tally } from './bus-tally.ts';

/** A queue that has a row. */
export interface Queue {
  id: number;
  name: string;
  settings: QueueSettings;
  configured: boolean;
  gone: boolean;
}

interface QueueRow {
  id: number;
  name: string;
  settings: string | null;
  gone: 0 | 1;
}

export type Queues = ReturnType<typeof createQueues>;

/** Names, settings and counters of queues. All of them are in memory too: there are as many as agents and work queues. */
export function createQueues(db: Database.Database, defaults: QueueSettings, tally: Tally) {
  const sql = {
    all: db.prepare('SELECT id, name, settings, gone FROM queue'),
    make: db.prepare('INSERT INTO queue (name) VALUES (?)'),
    set: db.prepare('UPDATE queue SET settings = ?, gone = ? WHERE id = ?'),
    drop: db.prepare('DELETE FROM queue WHERE id = ?'),
    oldest: db.prepare('SELECT sent_ms FROM message WHERE queue = ? AND state = 0 ORDER BY sent_ms LIMIT 1'),
    newest: db.prepare('SELECT sent_ms FROM message WHERE queue = ? AND state = 0 ORDER BY sent_ms DESC LIMIT 1'),
  };
  const byName = new Map<string, Queue>();
  const byId = new Map<number, Queue>();

  function keep(row: QueueRow): Queue {
    const configured = row.settings === null ? {} : (JSON.parse(row.settings) as Partial<QueueSettings>);
    const settings = { ...defaults, ...configured };
    const queue = { id: row.id, name: row.name, settings, configured: row.settings !== null, gone: row.gone === 1 };
    byName.set(queue.name, queue);
    byId.set(queue.id, queue);
    return queue;
  }

  function load(): void {
    byName.clear();
    byId.clear();
    for (const row of sql.all.all() as QueueRow[]) keep(row);
  }
  load();

  function need(name: string): Queue {
    const queue = byName.get(name);
    if (queue === undefined) {
      return keep({ id: Number(sql.make.run(name).lastInsertRowid), name, settings: null, gone: 0 });
    }
    if (!queue.gone) return queue;
    sql.set.run(null, 0, queue.id); // a new queue under the old name
    return keep({ id: queue.id, name, settings: null, gone: 0 });
  }

  const sentMs = (row: unknown): number | null => (row as { sent_ms: number } | undefined)?.sent_ms ?? null;

  function stats({ id, name, settings }: Queue): QueueStats {
    const ready = tally.of(id, 'ready');
    return {
      name,
      ready,
      leased: tally.of(id, 'leased'),
      delayed: tally.of(id, 'delayed'),
      dead: tally.of(id, 'dead'),
      oldestReadyAtMs: ready === 0 ? null : sentMs(sql.oldest.get(id)),
      newestReadyAtMs: ready === 0 ? null : sentMs(sql.newest.get(id)),
      settings,
    };
  }

  const waiting = ({ id }: Queue): number => tally.of(id, 'ready') + tally.of(id, 'leased') + tally.of(id, 'delayed');
  const holds = (queue: Queue): boolean => waiting(queue) > 0 || tally.of(queue.id, 'dead') > 0;

  return {
    find: (name: string): Queue | undefined => byName.get(name),
    need,
    of(id: number): Queue {
      const queue = byId.get(id);
      if (queue === undefined) throw new Error(`no queue ${id}`);
      return queue;
    },
    /** What counts against `maxMessages`. */
    waiting,
    settingsOf: (name: string): QueueSettings => {
      const queue = byName.get(name);
      return queue === undefined || queue.gone ? defaults : queue.settings;
    },

    configure(name: string, settings: Partial<QueueSettings>): void {
      const { id } = need(name);
      const text = JSON.stringify(settings);
      sql.set.run(text, 0, id);
      keep({ id, name, settings: text, gone: 0 });
    },

    /** Its settings go; it itself, when it holds nothing any more. */
    forget({ id, name }: Queue): void {
      sql.set.run(null, 1, id);
      keep({ id, name, settings: null, gone: 1 });
    },

    /** Rows of deleted queues that hold nothing go too. */
    prune(): void {
      for (const queue of byName.values()) {
        if (!queue.gone || holds(queue)) continue;
        sql.drop.run(queue.id);
        byName.delete(queue.name);
        byId.delete(queue.id);
      }
    },

    stats(name: string): QueueStats | undefined {
      const queue = byName.get(name);
      return queue === undefined || (queue.gone && !holds(queue)) ? undefined : stats(queue);
    },

    list(): QueueStats[] {
      const shown = [...byName.values()].filter((queue) => holds(queue) || (queue.configured && !queue.gone));
      return shown.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(stats);
    },

    reset: load,
  };
}
