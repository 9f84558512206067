import type Database from 'libsql';
import { storageFull } from '../bus-errors.ts';

export interface Quota {
  what: string;
  limitBytes: number | undefined;
  /** Where the limit is set. */
  setting: string;
  wayOut: string;
}

/**
 * What a database may hold. A limit of SQLite's own would refuse the writes that make room, too: handing out and
 * acknowledging are updates.
 *
 * @returns what throws STORAGE_FULL if there is no room; asked before anything is written
 */
export function createQuota(db: Database.Database, { what, limitBytes, setting, wayOut }: Quota): () => void {
  if (limitBytes === undefined) return () => undefined;
  const sql = {
    pages: db.prepare('PRAGMA page_count').raw(),
    free: db.prepare('PRAGMA freelist_count').raw(),
    size: db.prepare('PRAGMA page_size').raw(),
  };
  const [pageBytes] = sql.size.get() as [number];
  return () => {
    const [pages] = sql.pages.get() as [number];
    const [free] = sql.free.get() as [number];
    const bytes = (pages - free) * pageBytes;
    if (bytes >= limitBytes) throw storageFull(what, bytes, limitBytes, setting, wayOut);
  };
}
