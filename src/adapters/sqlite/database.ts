import { closeSync, existsSync, openSync, renameSync, statSync } from 'node:fs';
import Database from 'libsql';
import { CodedError, type ErrorCode } from '../../contract/errors.ts';

/** What a database is for, and how it is to be treated. */
export interface DatabaseKind {
  /** As messages name it: `roster`. */
  what: string;
  /** One entry a schema version: `migrations[n]` leads from version n to n + 1. Append; never change what was released. */
  migrations: readonly string[];
  /** NORMAL: a power loss may cost the last commits, never the file. FULL: what is committed stays. */
  synchronous: 'NORMAL' | 'FULL';
  /**
   * A file that is corrupt, or made by a newer version: `replace` moves it aside and starts afresh, because others know what
   * it said; `refuse` leaves it as it is, because nobody does.
   */
  unusable: 'replace' | 'refuse';
  /** The code of a failure that has no other. */
  failed: ErrorCode;
  /** The code when others keep it from the file, such as a lock, while it is in service. */
  kept: ErrorCode;
}

export interface OpenOptions {
  /** Test seam: the file may not grow beyond this. */
  maxBytes?: number;
  warn: (message: string) => void;
}

/** Beyond this a check of the whole file would hold up the start; damage is then found where it is met. */
const MAX_CHECKED_BYTES = 256 * 1024 ** 2;

/** @throws CodedError STORAGE_FULL, STATE_DIR_UNUSABLE; PLUGIN_FAILED for a file that is unusable and not to be replaced */
export function openDatabase(kind: DatabaseKind, file: string, options: OpenOptions): Database.Database {
  try {
    return openChecked(kind, file, options);
  } catch (error) {
    const why = unusable(kind, error);
    if (why === undefined) throw openingError(kind, file, error);
    if (kind.unusable === 'refuse') throw refusal(kind, file, why.text, error);
    const aside = moveAside(file, why.suffix);
    options.warn(`The ${kind.what} ${file} is ${why.text}; moved to ${aside}, and a new one is made`);
  }
  try {
    return openChecked(kind, file, options);
  } catch (error) {
    throw openingError(kind, file, error);
  }
}

const openingError = (kind: DatabaseKind, file: string, error: unknown): CodedError =>
  storageError({ ...kind, kept: 'STATE_DIR_UNUSABLE' }, file, error);

function openChecked(kind: DatabaseKind, file: string, { maxBytes }: OpenOptions): Database.Database {
  const isNew = !existsSync(file);
  if (isNew) closeSync(openSync(file, 'a', 0o600)); // SQLite would make it readable for everybody
  const db = new Database(file, { timeout: 5000 });
  try {
    if (isNew) db.pragma('auto_vacuum = INCREMENTAL'); // so that room which is no longer needed can be given back
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${kind.synchronous}`);
    // On macOS a plain fsync leaves the data in the cache of the disk.
    if (kind.synchronous === 'FULL') db.pragma('fullfsync = ON');
    if (statSync(file).size <= MAX_CHECKED_BYTES) {
      const check = pragmaText(db, 'quick_check(1)');
      if (check !== 'ok') throw Object.assign(new Error(check), { code: 'SQLITE_CORRUPT' });
    }
    migrate(db, kind.migrations);
    if (maxBytes !== undefined) {
      db.pragma(`max_page_count = ${Math.floor(maxBytes / Number(pragmaText(db, 'page_size')))}`);
    }
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: Database.Database, migrations: readonly string[]): void {
  const version = Number(pragmaText(db, 'user_version'));
  if (version > migrations.length) throw new NewerSchema(version);
  if (version === migrations.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const sql of migrations.slice(version)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
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

function unusable({ migrations }: DatabaseKind, error: unknown): { suffix: string; text: string } | undefined {
  if (error instanceof NewerSchema) {
    const text = `of schema version ${error.version}, and this program knows up to ${migrations.length}`;
    return { suffix: `version-${error.version}`, text };
  }
  return isCorruption(error) ? { suffix: 'corrupt', text: `corrupt (${(error as Error).message})` } : undefined;
}

function refusal({ what }: DatabaseKind, file: string, why: string, cause: unknown): CodedError {
  const message =
    `The ${what} ${file} is ${why}. It is left as it is, because nobody else knows what it holds: bring back a copy of it, ` +
    `or move it away (with its -wal and -shm) to begin with an empty one`;
  return new CodedError('PLUGIN_FAILED', message, { file }, cause);
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

const FULL = ['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE', 'ENOSPC', 'EDQUOT'];
const UNUSABLE = ['SQLITE_CANTOPEN', 'SQLITE_READONLY', 'SQLITE_BUSY', 'EACCES', 'EROFS', 'ENOENT', 'EISDIR'];

/** What SQLite or the file system said, with a code of ours. */
export function storageError({ what, failed, kept }: DatabaseKind, file: string, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const code = sqliteCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (FULL.includes(code)) {
    return new CodedError('STORAGE_FULL', `The ${what} ${file} cannot be written: ${message}`, { file }, error);
  }
  if (UNUSABLE.includes(code)) {
    return new CodedError(kept, `The ${what} ${file} cannot be used: ${message}`, { file }, error);
  }
  return new CodedError(failed, `The ${what} ${file} failed: ${message} (${code || 'no code'})`, { file }, error);
}

function sqliteCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function pragmaText(db: Database.Database, name: string): string {
  const row = db.prepare(`PRAGMA ${name}`).raw().get() as unknown[] | undefined;
  return String(row?.[0]);
}
