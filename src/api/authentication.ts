import { createHash, timingSafeEqual } from 'node:crypto';
import { CodedError } from '../contract/errors.ts';
import type { Caller } from '../service/caller.ts';
import type { Auth } from './deps.ts';

/** @throws CodedError UNAUTHORIZED, naming the file that holds the admin token */
export function authenticate(authorization: string | undefined, auth: Auth): Caller {
  if (authorization === undefined) throw unauthorized('There is no Authorization header', auth);
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) throw unauthorized('The Authorization header is not "Bearer <token>"', auth);
  if (isSame(token, auth.adminToken)) return { kind: 'admin' };
  const agent = auth.verifyAgentToken(token);
  if (agent === undefined) throw unauthorized('The token is neither the admin token nor that of an agent', auth);
  return { kind: 'agent', ...agent };
}

/** Takes the same time wherever the two differ, and whatever their lengths. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function unauthorized(message: string, { tokenFile }: Auth): CodedError {
  return new CodedError('UNAUTHORIZED', `${message}; the admin token is in ${tokenFile}`, { token_file: tokenFile });
}
