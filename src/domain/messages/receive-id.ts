/** What a receive may be named by. */
export const RECEIVE_ID_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * How every lease begins that a receive of this name has handed out, and no other lease: the dot is neither in a name nor in
 * a lease without one. So a bus finds them among what a consumer holds, and keeps nothing more.
 */
export const leasePrefixOf = (receiveId: string | undefined): string =>
  receiveId === undefined ? '' : `${receiveId}.`;
