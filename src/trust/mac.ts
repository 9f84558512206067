import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a code is made for. It is part of what is authenticated: a code for one purpose is worthless for another. */
export type Purpose = 'agent-input/v1' | 'agent-token/v1';

/** HMAC-SHA256 of the text for this purpose, base64url. */
export function macOf(purpose: Purpose, text: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(`openstarry/${purpose}\0`).update(text).digest('base64url');
}

/** True if `mac` is the code of the text; takes the same time wherever they differ. */
export function isMacOf(mac: string, purpose: Purpose, text: string, key: Uint8Array): boolean {
  return sameText(mac, macOf(purpose, text, key));
}

/** Compares two secrets in a time that depends on their lengths only. */
function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}
