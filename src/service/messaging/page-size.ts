import type { StoredMessage } from '../../ports/message-bus.ts';

/** A page ends after about so much, however many entries were asked for: what is larger would hold up everybody else. */
export const PAGE_BYTES = 4 * 1024 * 1024;
/** So many are read at once on the way there. */
export const READ = 32;

/** Of values in a page, about. */
export const sizeOf = (values: readonly unknown[]): number =>
  values.reduce<number>((sum, value) => sum + JSON.stringify(value).length, 0);

/**
 * A page of messages: read some at a time until there are `limit`, or they are about `PAGE_BYTES`, or there are no more.
 * @param after the id after which to begin
 */
export async function readPage(
  limit: number,
  after: string | undefined,
  read: (from: { after?: string; limit: number }) => Promise<StoredMessage[]>,
): Promise<StoredMessage[]> {
  const page: StoredMessage[] = [];
  for (let bytes = 0, from = after; page.length < limit && bytes < PAGE_BYTES;) {
    const count = Math.min(READ, limit - page.length);
    const next = await read({ limit: count, ...(from === undefined ? {} : { after: from }) });
    page.push(...next);
    if (next.length < count) break;
    from = next.at(-1)?.id;
    bytes += sizeOf(next.map(({ payload }) => payload));
  }
  return page;
}
