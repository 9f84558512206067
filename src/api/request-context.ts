import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { CodedError } from '../contract/errors.ts';
import type { ApiDeps } from './deps.ts';
import { describeCaller, type Call, type Caller } from '../service/caller.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on routes that are open to everybody. */
    caller: Caller | null;
    /** Aborts when the client is gone or the server closes. */
    gone: AbortController | null;
  }
  interface FastifyContextConfig {
    /** Needs no token. */
    open?: boolean;
    /** Needs no token either, but is refused to web pages of others. */
    public?: boolean;
    /** Changes something, and may do so while the daemon goes down. */
    untilTheEnd?: boolean;
  }
}

/** The client's own correlation id if it is a plain one, else a new one. It ends up in logs and environments. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && /^[A-Za-z0-9._:-]{1,64}$/.test(given) ? given : randomUUID();
}

export function callOf(request: FastifyRequest): Call {
  if (request.caller === null) throw new CodedError('UNAUTHORIZED', 'This route needs a token');
  const { once } = request;
  const call = {
    caller: request.caller,
    request_id: once?.request_id ?? request.id,
    ...(once === null ? {} : { once: { id: once.id, again: once.again } }),
  };
  return request.gone === null ? call : { ...call, signal: request.gone.signal };
}

/** What goes on and on ends with the process on whose behalf it was asked for. Call it before the caller is admitted. */
export function endWithCaller({ caller, gone }: FastifyRequest, reply: FastifyReply, ends: ApiDeps['ends']): void {
  if (caller === null) return;
  const forget = ends.follow(caller, () => gone?.abort());
  onceClosed(reply, forget);
}

/** When the answer has been given, or the client has hung up: it may have done so already, and `close` is told only once. */
export function onceClosed({ raw }: FastifyReply, act: () => void): void {
  if (raw.closed) act();
  else raw.once('close', act);
}

/** One line a request, with what is needed to follow it. Headers are not logged, so no token is. */
export function logRequests(app: FastifyInstance, log: Logger): void {
  app.addHook('onResponse', async (request: FastifyRequest, reply: FastifyReply) => {
    // What comes all the time is told when it is refused.
    if (request.routeOptions.logLevel === 'warn' && reply.statusCode < 400) return;
    const { agent_id } = (request.params ?? {}) as { agent_id?: string };
    const created = (request.body as { agent_id?: unknown } | null | undefined)?.agent_id;
    log.info(
      {
        request_id: request.id,
        method: request.method,
        route: request.routeOptions.url ?? null,
        agent_id: agent_id ?? (typeof created === 'string' ? created.slice(0, 64) : undefined),
        caller: request.caller === null ? undefined : describeCaller(request.caller),
        status: reply.statusCode,
        code: request.refusal ?? undefined,
        ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      'request',
    );
  });
}

/**
 * Gives each request a signal that ends its waiting: when the client hangs up, and when the server closes (preClose), so
 * that those who wait get an answer before their connections are closed.
 */
export function endWaitsEarly(app: FastifyInstance, drainMs: number): void {
  const waiting = new Set<FastifyRequest>();
  let drained: (() => void) | undefined;
  app.addHook('onRequest', async (request, reply) => {
    const gone = new AbortController();
    request.gone = gone;
    waiting.add(request);
    reply.raw.once('close', () => {
      gone.abort();
      waiting.delete(request);
      if (waiting.size === 0) drained?.();
    });
  });
  app.addHook('preClose', async () => {
    for (const request of waiting) request.gone?.abort();
    if (waiting.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, drainMs);
      drained = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  });
}
