import type { LogSource, TailOptions } from '../ports/log-source.ts';

/**
 * The last lines and then every new one, until `signal` aborts. Following begins before the tail is read: a line
 * that is written in that moment may be shown twice, none is lost.
 */
export async function* tailAndFollow(
  logs: LogSource,
  agentId: string,
  tail: TailOptions,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const ended = new AbortController();
  const news = logs.follow(agentId, AbortSignal.any([signal, ended.signal]))[Symbol.asyncIterator]();
  try {
    const first = news.next();
    first.catch(() => undefined); // awaited below, unless reading the tail fails
    yield* await logs.tail(agentId, tail);
    for (let next = await first; next.done !== true; next = await news.next()) yield next.value;
  } finally {
    ended.abort();
    await news.return?.();
  }
}
