import type { LogSource } from '../ports/log-source.ts';

/**
 * The last `lines` lines and then every new one, until `signal` aborts. Following begins before the tail is read, so
 * nothing is lost in between; what both have brought is told once.
 */
export async function* tailAndFollow(
  logs: LogSource,
  agentId: string,
  lines: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const ended = new AbortController();
  const news = logs.follow(agentId, AbortSignal.any([signal, ended.signal]))[Symbol.asyncIterator]();
  try {
    const early: string[] = [];
    let reading = true;
    const readEarly = async (): Promise<IteratorResult<string>> => {
      for (;;) {
        const next = await news.next();
        if (!reading || next.done) return next;
        early.push(next.value);
      }
    };
    let next = readEarly();
    next.catch(() => undefined); // awaited below, but the tail may fail first
    const tail = await logs.tail(agentId, { lines });
    reading = false;
    yield* tail;
    yield* early.slice(overlap(tail, early));
    for (let line = await next; !line.done; line = await next) {
      yield line.value;
      next = news.next();
    }
  } finally {
    ended.abort();
    await news.return?.();
  }
}

/** How many of the first `news` the `tail` ends with. */
export function overlap(tail: readonly string[], news: readonly string[]): number {
  for (let count = Math.min(tail.length, news.length); count > 0; count -= 1) {
    const start = tail.length - count;
    if (news.slice(0, count).every((line, index) => tail[start + index] === line)) return count;
  }
  return 0;
}
