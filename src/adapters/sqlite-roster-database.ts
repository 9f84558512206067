import { closeSync, existsSync, openSync, renameSync } from 'node:fs';
import Database from 'libsql';
import { CodedError } from '../contract/errors.ts';

/** One entry a schema version: `MIGRATIONS[n]` leads from version n to n + 1. Append; never change what was released. */
const MIGRATIONS = [
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
];

export interface OpenOptions {
  /** Test seam: the file may not grow beyond this. */
  maxBytes?: number;
  warn: (message: string) => void;
}

/**
 * Opens the database of the roster. A file that is corrupt, or made by a newer version, is moved aside and a new one is
 * made: what it says is published again by those who know it.
 */
export function openDatabase(file: string, options: OpenOptions): Database.Database {
  try {
    return openChecked(file, options);
  } catch (error) {
    const why = unusable(error);
    if (why === undefined) throw storageError(file, error);
    const aside = moveAside(file, why.suffix);
    options.warn(`The roster ${file} is ${why.text}; moved to ${aside}, and a new one is made`);
  }
  try {
    return openChecked(file, options);
  } catch (error) {
    throw storageError(file, error);
  }
}

function openChecked(file: string, { maxBytes }: OpenOptions): Database.Database {
  if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600)); // SQLite would make it readable for everybody
  const db = new Database(file, { timeout: 5000 });
  try {
    db.pragma('journal_mode = WAL');
    // A power loss may cost the last commits: everything here is derived, and comes again.
    db.pragma('synchronous = NORMAL');
    const check = pragmaText(db, 'quick_check(1)');
    if (check !== 'ok') throw Object.assign(new Error(check), { code: 'SQLITE_CORRUPT' });
    migrate(db);
    if (maxBytes !== undefined) {
      db.pragma(`max_page_count = ${Math.floor(maxBytes / Number(pragmaText(db, 'page_size')))}`);
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: Database.Database): void {
  const version = Number(pragmaText(db, 'user_version'));
  if (version > MIGRATIONS.length) throw new NewerSchema(version);
  if (version === MIGRATIONS.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const sql of MIGRATIONS.slice(version)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

class NewerSchema extends Error {
  readonly version: number;

  constructor(version: number) {
    super(`schema version ${version}`);
    this.version = version;
  }
}

function unusable(error: unknown): { suffix: string; text: string } | undefined {
  if (error instanceof NewerSchema) {
    const text = `of schema version ${error.version}, and this program knows up to ${MIGRATIONS.length}`;
    return { suffix: `version-${error.version}`, text };
  }
  return isCorruption(error) ? { suffix: 'corrupt', text: `corrupt (${(error as Error).message})` } : undefined;
}

/** True for an error that says that the file cannot be trusted any more. */
export function isCorruption(error: unknown): boolean {
  const code = sqliteCode(error);
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
}

function moveAside(file: string, suffix: string): string {
  const time = new Date().toISOString().replaceAll(':', '');
  const aside = `${file}.${suffix}-${time}`;
  for (const part of ['', '-wal', '-shm']) {
    if (existsSync(`${file}${part}`)) renameSync(`${file}${part}`, `${aside}${part}`);
  }
  return aside;
}

/** What SQLite or the file system said, with a code of ours. */
export function storageError(file: string, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const code = sqliteCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE' || code === 'ENOSPC' || code === 'EDQUOT') {
    return new CodedError('STORAGE_FULL', `The roster ${file} cannot be written: ${message}`, { file }, error);
  }
  if (['SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_BUSY', 'EACCES', 'EROFS', 'ENOENT', 'EISDIR'].includes(code)) {
    return new CodedError('STATE_DIR_UNUSABLE', `The roster ${file} cannot be used: ${message}`, { file }, error);
  }
  return new CodedError('INTERNAL', `The roster ${file} failed: ${message} (${code || 'no code'})`, { file }, error);
}

function sqliteCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function pragmaText(db: Database.Database, name: string): string {
  const row = db.prepare(`PRAGMA ${name}`).raw().get() as unknown[] | undefined;
  return String(row?.[0]);
}
