/** Who may call: checks of the Host and Origin headers. They keep web pages out, which a browser lets call loopback. */
import { CodedError } from '../contract/errors.ts';

const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * A page that had its own name point to 127.0.0.1 (DNS rebinding) is same-origin to the browser, but still says its name.
 * @throws CodedError HOST_NOT_ALLOWED
 */
export function checkHost(host: string | undefined): void {
  const name = hostNameOf(host);
  if (name !== undefined && LOOPBACK.includes(name)) return;
  const shown = JSON.stringify((host ?? '').slice(0, 200));
  throw new CodedError('HOST_NOT_ALLOWED', `The Host header ${shown} is not one of ${LOOPBACK.join(', ')}`);
}

/**
 * A browser tells where a request comes from. Only our own pages have business here.
 * @throws CodedError ORIGIN_NOT_ALLOWED
 */
export function checkOrigin(origin: string | undefined, host: string | undefined): void {
  if (origin === undefined) return;
  const own = host?.toLowerCase();
  if (own !== undefined && (origin.toLowerCase() === `http://${own}` || origin.toLowerCase() === `https://${own}`))
    return;
  throw new CodedError('ORIGIN_NOT_ALLOWED', `The Origin ${JSON.stringify(origin.slice(0, 200))} is not the API's own`);
}

/** `LocalHost:5050` → `localhost`; undefined if it is not a name with an optional port. */
function hostNameOf(host: string | undefined): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::\d{1,5})?$/i.exec(host ?? '')?.[1]?.toLowerCase();
}
