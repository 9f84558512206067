import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { CodedError } from '../contract/errors.ts';
import { unkeptNumber } from '../schema/json-values.ts';
import { digest, KEY_HEADER } from './idempotency.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What is in the body goes out again as it came: what JSON cannot carry is refused, instead of being changed. */
    exactJson?: boolean;
  }
}

/** One content type. An empty body is none, whatever the header says. */
export function onlyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  // The name of a property is no attack where nothing is merged; `__proto__` stays refused, it would be lost.
  const parseExact = app.getDefaultJsonParser('error', 'ignore');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, raw, done) => {
    const bytes = raw as Buffer;
    if (bytes.length === 0) return done(null, undefined);
    if (!isUtf8(bytes)) return done(new CodedError('INVALID_REQUEST', 'The body is no valid UTF-8'));
    const body = bytes.toString('utf8');
    if (request.headers[KEY_HEADER] !== undefined) request.bodyDigest = digest(body);
    if (request.routeOptions.config.exactJson !== true) return parse(request, body, done);
    const number = unkeptNumber(body);
    if (number !== undefined) {
      const message = `In the body, the number ${number} cannot be kept as it is: send it as a text`;
      return done(new CodedError('INVALID_REQUEST', message, { value: number }));
    }
    return parseExact(request, body, (error, value) => done(error === null ? null : explained(error, body), value));
  });
}

/** The parser says of a forbidden name that the body is no JSON, which it is. */
function explained(error: Error, body: string): Error {
  try {
    JSON.parse(body);
  } catch {
    return error;
  }
  return new CodedError(
    'INVALID_REQUEST',
    'In the body, a key is "__proto__", which cannot be kept: name it otherwise',
  );
}
