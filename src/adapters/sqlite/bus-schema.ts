import type { DatabaseKind } from './database.ts';

/**
 * Nobody else knows what is in it: each commit is on the disk before it is answered, and a damaged file is not replaced.
 *
 * Texts that may hold any character (correlation ids, keys, reasons) are kept as JSON: SQLite ends a text at its first NUL.
 */
export const BUS: DatabaseKind = {
  what: 'message bus',
  synchronous: 'FULL',
  unusable: 'refuse',
  failed: 'BUS_UNAVAILABLE',
  kept: 'BUS_UNAVAILABLE',
  migrations: [
    `CREATE TABLE fact (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

     CREATE TABLE queue (
       id INTEGER PRIMARY KEY AUTOINCREMENT,
       name TEXT NOT NULL UNIQUE,
       -- What was configured; NULL: nothing was.
       settings TEXT,
       -- Deleted; it stays while it holds dead letters.
       gone INTEGER NOT NULL DEFAULT 0
     );
     -- Counters, so that limits and statistics cost the same whatever a queue holds. Queue 0 is all of them together.
     CREATE TABLE tally (
       queue INTEGER NOT NULL,
       what TEXT NOT NULL,
       n INTEGER NOT NULL,
       PRIMARY KEY (queue, what)
     ) WITHOUT ROWID;

     CREATE TABLE message (
       seq INTEGER PRIMARY KEY,
       queue INTEGER NOT NULL,
       state INTEGER NOT NULL,
       rank INTEGER NOT NULL,
       -- When the bus has to do something about it by itself.
       due_ms INTEGER,
       -- Leased: the end of the lease. Delayed: when it is ready. Dead: when it died.
       until_ms INTEGER,
       attempt INTEGER NOT NULL,
       consumer TEXT,
       lease TEXT,
       sender TEXT NOT NULL,
       type TEXT NOT NULL,
       priority INTEGER NOT NULL,
       sent_ms INTEGER NOT NULL,
       expires_ms INTEGER,
       -- Its own one, not that of its queue.
       ttl_ms INTEGER,
       correlation TEXT,
       reply_to TEXT,
       death TEXT,
       -- NULL: in the table body, so that handing it out does not write it anew.
       payload TEXT
     );
     CREATE TABLE body (seq INTEGER PRIMARY KEY, payload TEXT NOT NULL);
     CREATE INDEX message_ready ON message (queue, rank) WHERE state = 0;
     CREATE INDEX message_age ON message (queue, sent_ms) WHERE state = 0;
     CREATE INDEX message_apart ON message (state, queue) WHERE state <> 0;
     CREATE INDEX message_held ON message (consumer) WHERE state = 1;
     CREATE INDEX message_due ON message (due_ms) WHERE due_ms IS NOT NULL;
     CREATE INDEX message_queue ON message (queue);
     CREATE INDEX message_sender ON message (sender);
     CREATE INDEX message_correlation ON message (correlation, queue, state, rank) WHERE correlation IS NOT NULL;

     CREATE TABLE idempotency (
       queue INTEGER NOT NULL,
       sender TEXT NOT NULL,
       key TEXT NOT NULL,
       seq INTEGER NOT NULL,
       at_ms INTEGER NOT NULL,
       PRIMARY KEY (queue, sender, key)
     ) WITHOUT ROWID;
     CREATE INDEX idempotency_age ON idempotency (at_ms);

     CREATE TABLE topic (
       id INTEGER PRIMARY KEY AUTOINCREMENT,
       name TEXT NOT NULL UNIQUE,
       events INTEGER NOT NULL,
       last_cursor INTEGER NOT NULL,
       last_ms INTEGER NOT NULL,
       -- The newest event that is no longer kept.
       dropped INTEGER NOT NULL
     );
     CREATE TABLE event (
       cursor INTEGER PRIMARY KEY,
       topic INTEGER NOT NULL,
       sender TEXT NOT NULL,
       key TEXT,
       at_ms INTEGER NOT NULL,
       payload TEXT NOT NULL
     );
     CREATE INDEX event_topic ON event (topic);
     CREATE UNIQUE INDEX event_key ON event (topic, key) WHERE key IS NOT NULL;`,
  ],
};
