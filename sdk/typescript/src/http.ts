import { DaemonError } from './daemon-error.ts';

export interface Endpoint {
  /** Such as `http://127.0.0.1:5050`. */
  url: string;
  token: string;
}

export type Query = Record<string, string | number | boolean | undefined>;

export interface Request {
  method: string;
  path: string;
  query?: Query;
  body?: unknown;
  timeoutMs: number;
  idempotencyKey?: string;
  /** Ends the waiting; what was asked for may have been done. */
  signal?: AbortSignal;
}

/** Why there is no answer that counts, and whether the request may have had its effect all the same. */
export class HttpFailure extends DaemonError {
  /** 0 if nobody answered. */
  readonly status: number;
  /** True if the daemon cannot have carried it out. */
  readonly isWithoutEffect: boolean;
  /** What the daemon asks to be left alone for; 0 if it does not say. */
  readonly retryAfterMs: number;

  constructor(refusal: DaemonError, status: number, isWithoutEffect: boolean, retryAfterMs = 0) {
    super(refusal.code, refusal.message, refusal.remedy, refusal.details, refusal.cause);
    this.status = status;
    this.isWithoutEffect = isWithoutEffect;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What the daemon puts into the environment of every agent. @throws DaemonError naming what is missing */
export function endpointOf(env: Record<string, string | undefined>): Endpoint {
  return { url: variable(env, 'OPENSTARRY_API_URL'), token: variable(env, 'OPENSTARRY_TOKEN') };
}

export function variable(env: Record<string, string | undefined>, name: string): string {
  const value = env[name];
  if (value) return value;
  const message = `${name} is not in the environment: run this as an agent of the daemon, or give it`;
  throw new DaemonError('INVALID_REQUEST', message);
}

/** Said before anything is looked at; other trouble may come after the work is done. */
const WITHOUT_EFFECT = ['NOT_READY', 'SHUTTING_DOWN'];

/** One request, one attempt. @throws HttpFailure; whatever `signal` was aborted with */
export async function send({ url, token }: Endpoint, request: Request): Promise<string> {
  const { method, path, query = {}, body, timeoutMs, idempotencyKey, signal } = request;
  const given = Object.entries(query).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  );
  const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
  const headers: Record<string, string> = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
  // Not AbortSignal.any: it keeps each of these for as long as the signal of the whole process lives.
  const ending = new AbortController();
  const cancel = (): void => ending.abort(signal?.reason);
  const timer = setTimeout(() => ending.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel);
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${url.replace(/\/+$/, '')}${path}${search}`, {
      method,
      headers,
      signal: ending.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw unanswered(url, error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', cancel);
  }
  if (response.ok) return text;
  const refusal = refusalOf(request, response, text);
  throw new HttpFailure(
    refusal,
    response.status,
    response.status < 500 || WITHOUT_EFFECT.includes(refusal.code),
    1000 * (Number(response.headers.get('retry-after')) || 0),
  );
}

export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function unanswered(url: string, error: unknown): HttpFailure {
  const { cause, message } = error as Error & { cause?: { code?: string } };
  const refusal = new DaemonError(
    'DAEMON_NOT_RUNNING',
    `${url} does not answer: ${cause?.code ?? message}`,
    '',
    {},
    error,
  );
  return new HttpFailure(refusal, 0, cause?.code === 'ECONNREFUSED');
}

function refusalOf({ method, path }: Request, { status }: Response, text: string): DaemonError {
  const { code, message, remedy, details } = (parse(text) as { error?: Partial<DaemonError> } | null)?.error ?? {};
  return new DaemonError(
    code ?? `HTTP_${status}`,
    message ?? `${method} ${path} was answered with status ${status}`,
    remedy,
    details,
  );
}
