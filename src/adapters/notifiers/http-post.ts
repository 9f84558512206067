import { NotifierFailure } from '../../ports/notifier.ts';

/** For one attempt, from the connection to the last byte of the answer. */
const TIMEOUT_MS = 10_000;
/** Nobody waits longer for a receiver because it says so. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;
/** As much of an answer as is worth to be read by people. */
const MAX_ANSWER_BYTES = 2_000;

export interface Post {
  url: string;
  body: string;
  headers: Record<string, string>;
  /** @default 10000 */
  timeoutMs?: number | undefined;
}

/**
 * Sends a body, and is content with any answer of 2xx. Redirects are not followed: they would carry what was meant for one
 * receiver to another.
 *
 * @throws NotifierFailure that names the host, but not the path, which may be a secret
 */
export async function post({ url, body, headers, timeoutMs = TIMEOUT_MS }: Post, ending: AbortSignal): Promise<void> {
  const { host } = new URL(url);
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let answer: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      body,
      headers: { 'user-agent': 'openstarry-daemon', 'content-type': 'application/json; charset=utf-8', ...headers },
      redirect: 'manual',
      signal: AbortSignal.any([ending, timeout]),
    });
    answer = await beginningOf(response);
  } catch (error) {
    const why = timeout.aborted ? `did not answer within ${timeoutMs} ms` : `cannot be reached (${reasonOf(error)})`;
    throw new NotifierFailure(`${host} ${why}`, { retryable: true, cause: error });
  }
  if (response.ok) return;
  const { status } = response;
  const said = answer === '' ? '' : `: ${answer}`;
  if (status >= 300 && status < 400) {
    throw new NotifierFailure(`${host} redirects (${status}), which is not followed: give the URL itself`, {
      retryable: false,
    });
  }
  const retryAfterMs = retryAfterOf(response);
  throw new NotifierFailure(`${host} answered ${status}${said}`, {
    // Too early, or too much: the same request may be taken later. Everything else of 4xx is refused for good.
    retryable: status >= 500 || status === 408 || status === 425 || status === 429,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

async function beginningOf(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  let text = '';
  const decoder = new TextDecoder();
  try {
    while (text.length < MAX_ANSWER_BYTES) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 200);
}

function retryAfterOf({ headers }: Response): number | undefined {
  const given = headers.get('retry-after');
  if (given === null) return undefined;
  const ms = /^\d{1,6}$/.test(given) ? Number(given) * 1000 : Date.parse(given) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_RETRY_AFTER_MS);
}

/** `fetch` says `fetch failed`, and its cause what. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  if (typeof cause?.code === 'string') return cause.code;
  return typeof cause?.message === 'string' ? cause.message : (error as Error).name;
}
