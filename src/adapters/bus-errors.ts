import { CodedError } from '../contract/errors.ts';
import { describeBytes } from '../domain/size.ts';

/** The refusals of every bus and state store, so that they read alike whatever is behind. */

export function queueFull(queue: string, limit: number, from?: string): CodedError {
  if (from === undefined) {
    const message = `${queue} holds ${limit} messages, and takes no more than that (max_messages)`;
    return new CodedError('QUEUE_FULL', message, { queue, limit, of: 'queue' });
  }
  const message = `${queue} holds ${limit} messages of ${from}, and takes no more of one sender (max_per_sender)`;
  return new CodedError('QUEUE_FULL', message, { queue, limit, of: 'sender', from });
}

/** @param of the setting, as in the configuration @param wayOut what makes room */
export function storageFull(what: string, bytes: number, limit: number, of: string, wayOut: string): CodedError {
  const message = `The ${what} holds ${describeBytes(bytes)}, and takes nothing new beyond ${describeBytes(limit)} (${of}): ${wayOut}, or raise the limit`;
  return new CodedError('STORAGE_FULL', message, { limit, of });
}

export function leaseStale(id: string): CodedError {
  return new CodedError('LEASE_STALE', `The lease of message ${id} is not the latest, or it has run out`, {
    message_id: id,
  });
}

export function messageNotFound(id: string): CodedError {
  return new CodedError('MESSAGE_NOT_FOUND', `There is no message ${id}`, { message_id: id });
}

/** @param version the one that there is; 0: none */
export function versionConflict(scope: string, key: string, expected: number, version: number): CodedError {
  const there = version === 0 ? 'there is none' : `it has version ${version}`;
  const message = `${key} of ${scope} was expected ${expected === 0 ? 'not to exist' : `with version ${expected}`}, and ${there}`;
  return new CodedError('VERSION_CONFLICT', message, { scope, key, version });
}
