import type { DatabaseKind } from './database.ts';

/** Everything in it is derived and comes again: a power loss may cost the last commits, and a damaged file is recreated. */
export const ROSTER: DatabaseKind = {
  what: 'roster',
  synchronous: 'NORMAL',
  unusable: 'replace',
  failed: 'INTERNAL',
  kept: 'STATE_DIR_UNUSABLE',
  migrations: [
    `CREATE TABLE agent (
     agent_id TEXT PRIMARY KEY,
     run_id TEXT NOT NULL,
     sequence INTEGER NOT NULL,
     at_ms INTEGER NOT NULL,
     generation INTEGER NOT NULL,
     -- What is gone leaves a tombstone, so that a late decision of a former life does not bring it back.
     gone INTEGER NOT NULL DEFAULT 0,
     purged INTEGER NOT NULL DEFAULT 0,
     decision TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE process (
     agent_id TEXT PRIMARY KEY,
     generation INTEGER NOT NULL,
     facts TEXT NOT NULL
   ) WITHOUT ROWID;
   CREATE TABLE transition (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     agent_id TEXT NOT NULL,
     run_id TEXT NOT NULL,
     sequence INTEGER NOT NULL,
     at_ms INTEGER NOT NULL,
     state TEXT NOT NULL,
     generation INTEGER NOT NULL,
     reason TEXT NOT NULL
   );
   CREATE INDEX transition_of_agent ON transition (agent_id, id);
   CREATE UNIQUE INDEX transition_once ON transition (agent_id, sequence, at_ms);
   CREATE INDEX transition_age ON transition (at_ms);
   CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;`,
    `CREATE TABLE answer (
     scope TEXT NOT NULL,
     key TEXT NOT NULL,
     request TEXT NOT NULL,
     request_id TEXT NOT NULL,
     at_ms INTEGER NOT NULL,
     -- NULL while the request is under way.
     answer TEXT,
     PRIMARY KEY (scope, key)
   ) WITHOUT ROWID;
   CREATE INDEX answer_age ON answer (at_ms);`,
    `CREATE TABLE record (
     position INTEGER PRIMARY KEY AUTOINCREMENT,
     kind TEXT NOT NULL,
     id TEXT NOT NULL,
     agent_id TEXT,
     state TEXT NOT NULL,
     done INTEGER NOT NULL,
     run_id TEXT NOT NULL,
     sequence INTEGER NOT NULL,
     at_ms INTEGER NOT NULL,
     data TEXT NOT NULL,
     UNIQUE (kind, id)
   );
   CREATE INDEX record_of_agent ON record (kind, agent_id, position);
   CREATE INDEX record_open ON record (kind, done, position);
   CREATE INDEX record_age ON record (done, at_ms);
   CREATE TABLE delivery (id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX delivery_age ON delivery (at_ms);`,
  ],
};
