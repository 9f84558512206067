import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { CodedError } from '../contract/errors.ts';
import type { AnswerStore } from '../ports/answer-store.ts';

export const KEY_HEADER = 'idempotency-key';
export const KEY_FORM = '1 to 255 visible ASCII characters';

interface Once {
  scope: string;
  key: string;
  /** Under which commands take effect at most once; the same for each attempt. */
  id: string;
  /** Correlation id of the first attempt. */
  request_id: string;
  /** True if an earlier attempt may have had its effect, though nobody has got its answer. */
  again: boolean;
  release: () => void;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for a request with an `Idempotency-Key` that is carried out. */
    once: Once | null;
    /** Digest of the body as it came; empty without one, or without such a key. */
    bodyDigest: string;
  }
  interface FastifyContextConfig {
    /** The route knows itself what was sent before under the same key: nothing needs to be kept for it. */
    ownKeys?: boolean;
  }
}

/**
 * The same request with the same `Idempotency-Key` takes effect once. What was answered with 2xx is answered again for a
 * day; what was refused at its first attempt (4xx) has had no effect and is tried anew. An attempt that may have had one,
 * since it failed (5xx) or its answer was lost (the client hung up, the daemon died), is taken up where it is. Requests with
 * the same key wait for each other.
 */
export function answerOnce(app: FastifyInstance, store: AnswerStore): void {
  const underWay = new Map<string, Promise<void>>();

  app.addHook('preHandler', async (request, reply) => {
    if (request.routeOptions.config.ownKeys === true) return;
    const key = idempotencyKeyOf(request);
    if (key === undefined || request.caller === null || request.is404) return;
    const scope = request.caller.kind === 'admin' ? 'admin' : `agent ${request.caller.agent_id}`;
    const id = digest(scope, key);
    for (let other = underWay.get(id); other !== undefined; other = underWay.get(id)) await other;
    let release: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => {
      release = () => {
        if (underWay.get(id) === ended) underWay.delete(id);
        resolve();
      };
    });
    underWay.set(id, ended);
    reply.raw.once('close', release);
    const note = { scope, key, request: digestOf(request), request_id: request.id, at_ms: Date.now() };
    const before = await store.beginAnswer(note).catch((error: unknown) => {
      release();
      throw error;
    });
    if (before !== undefined && (before.request !== note.request || before.answer !== null)) release();
    if (before !== undefined && before.request !== note.request) throw reused(key, before.at_ms);
    if (before?.answer != null) {
      const { status, body, location } = before.answer;
      if (location !== null) reply.header('location', location);
      return reply.code(status).header('idempotency-replayed', 'true').type(JSON_TYPE).send(body);
    }
    request.once = {
      scope,
      key,
      id,
      request_id: before?.request_id ?? request.id,
      again: before !== undefined,
      release,
    };
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { once } = request;
    if (once === null) return payload;
    try {
      await note(store, once, request, reply, payload);
    } catch (error) {
      // The request has been carried out: whoever sends it again is answered by what is there.
      request.log.warn({ err: error, request_id: request.id }, 'cannot keep the answer for its Idempotency-Key');
    }
    once.release();
    return payload;
  });
}

const JSON_TYPE = 'application/json; charset=utf-8';

async function note(
  store: AnswerStore,
  { scope, key, again }: Once,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<void> {
  const { statusCode } = reply;
  if (statusCode >= 400) {
    // What failed within, or went unanswered, may take effect all the same; and of what an earlier attempt did, the refusal
    // of this one tells nothing. Then the note stays, and the next attempt goes on under the ids of the first.
    return statusCode < 500 && !again ? store.dropAnswer(scope, key) : undefined;
  }
  // Nobody reads it, and the waiting was cut short: the next attempt goes on from here.
  if (request.gone?.signal.aborted || typeof payload !== 'string') return;
  const location = reply.getHeader('location');
  await store.keepAnswer(scope, key, {
    status: statusCode,
    body: payload,
    location: typeof location === 'string' ? location : null,
  });
}

/** @throws CodedError INVALID_REQUEST */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const given = request.headers[KEY_HEADER];
  if (given === undefined || request.method === 'GET' || request.method === 'HEAD') return undefined;
  if (typeof given === 'string' && /^[\x21-\x7e]{1,255}$/.test(given)) return given;
  const seen = JSON.stringify(String(given).slice(0, 60));
  throw new CodedError('INVALID_REQUEST', `The header Idempotency-Key is ${seen}; expected ${KEY_FORM}`, {
    field: 'idempotency-key',
  });
}

function reused(key: string, atMs: number): CodedError {
  const message = `The Idempotency-Key ${JSON.stringify(key)} was sent with another request at ${new Date(atMs).toISOString()}`;
  return new CodedError('IDEMPOTENCY_KEY_REUSED', message, { key });
}

const digestOf = ({ method, url, bodyDigest }: FastifyRequest): string => digest(method, url, bodyDigest);

/** Of texts without NUL. */
export function digest(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}
