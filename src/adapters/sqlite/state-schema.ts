import type { DatabaseKind } from './database.ts';

/** Nobody else knows what agents have put there: each commit is on the disk before it is answered. */
export const STATE: DatabaseKind = {
  what: 'state store',
  synchronous: 'FULL',
  unusable: 'refuse',
  failed: 'STATE_UNAVAILABLE',
  kept: 'STATE_UNAVAILABLE',
  migrations: [
    `CREATE TABLE entry (
       id INTEGER PRIMARY KEY,
       scope TEXT NOT NULL,
       -- Its UTF-8: so it sorts by bytes, and may hold any character.
       key BLOB NOT NULL,
       version INTEGER NOT NULL,
       updated_ms INTEGER NOT NULL,
       expires_ms INTEGER,
       value TEXT NOT NULL
     );
     CREATE UNIQUE INDEX entry_key ON entry (scope, key);
     CREATE INDEX entry_expiry ON entry (expires_ms) WHERE expires_ms IS NOT NULL;
     -- The highest version that was ever deleted: a key that comes again goes on above it.
     CREATE TABLE latest (version INTEGER NOT NULL);
     INSERT INTO latest VALUES (0);`,
  ],
};
