import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { CodedError, codeOf, ERRORS, type ErrorBody, type ErrorCode } from '../contract/errors.ts';

/** How long to wait where nobody knows better, in seconds. */
const RETRY_AFTER_S = 2;

/** Every refusal has one shape and a code of the table; what is not foreseen is a 500 that tells nothing but its request id. */
export function errorHandler(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const coded = codedError(error, request);
  const kind = ERRORS[coded.code];
  if (kind.status === 500) request.log.error({ err: error, request_id: request.id }, 'request failed unexpectedly');
  if (coded.code === 'UNAUTHORIZED') reply.header('www-authenticate', 'Bearer');
  if (kind.status === 429 || kind.status === 503) reply.header('retry-after', retryAfterS(coded));
  // A client that is still sending would find its connection closed instead of this answer.
  if (coded.code === 'PAYLOAD_TOO_LARGE') reply.removeHeader('connection');
  request.refusal = coded.code;
  return reply.code(kind.status).send(errorBody(coded, request.id));
}

/** @param methodsOf those that the path has */
export function notFoundHandler(methodsOf: (path: string) => string[]) {
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = request.url.split('?', 1)[0] ?? '';
    const shown = path.slice(0, 200);
    const methods = methodsOf(path);
    if (methods.length === 0) {
      const error = new CodedError('ROUTE_NOT_FOUND', `There is no ${request.method} ${shown}`);
      return errorHandler(error, request, reply);
    }
    const allowed = methods.join(', ');
    const message = `${shown} has no ${request.method}; it has ${allowed}`;
    reply.header('allow', allowed);
    return errorHandler(new CodedError('METHOD_NOT_ALLOWED', message, { allowed: methods }), request, reply);
  };
}

export function errorBody(error: CodedError, requestId: string): ErrorBody {
  const { code, message, remedy, details } = error;
  return { error: { code, message, remedy, details, request_id: requestId } };
}

function codedError(error: unknown, request: FastifyRequest): CodedError {
  if (error instanceof CodedError) return error;
  const own = codeOf(error);
  if (own !== undefined) return new CodedError(own, (error as Error).message, {}, error);
  const raised = error as Partial<FastifyError> | null;
  return new CodedError(...fromFastify(raised, request.routeOptions.bodyLimit), {}, error);
}

function fromFastify(raised: Partial<FastifyError> | null, bodyLimit: number | undefined): [ErrorCode, string] {
  switch (raised?.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return ['PAYLOAD_TOO_LARGE', `The body is larger than ${(bodyLimit ?? 0) / 1024} KiB`];
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return ['UNSUPPORTED_MEDIA_TYPE', 'The body must come with Content-Type: application/json'];
    case 'FST_ERR_BAD_URL':
      return ['INVALID_REQUEST', 'The path of the URL is not valid percent-encoding'];
  }
  const status = raised?.statusCode ?? 500;
  if (status === 503) return ['SHUTTING_DOWN', 'The daemon is going down'];
  if (status >= 400 && status < 500)
    return ['INVALID_REQUEST', `Cannot read the request: ${raised?.message ?? 'unknown error'}`];
  return ['INTERNAL', 'Something went wrong that should not have'];
}

function retryAfterS(error: CodedError): number {
  const ms = error.details['retry_after_ms'];
  return typeof ms === 'number' ? Math.max(1, Math.ceil(ms / 1000)) : RETRY_AFTER_S;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The code it was refused with. */
    refusal: ErrorCode | null;
  }
}
