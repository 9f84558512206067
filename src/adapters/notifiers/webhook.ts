import { createHmac } from 'node:crypto';
import type { Notifier } from '../../ports/notifier.ts';
import { post } from './http-post.ts';

/**
 * The notice as JSON, for programs of people.
 *
 * `X-OpenStarry-Delivery` is the same in every attempt. With a secret, `X-OpenStarry-Signature` is `sha256=` and the HMAC of the
 * body under it, in hexadecimal.
 */
export function webhookNotifier({ name, url, secret }: { name: string; url: string; secret: string | null }): Notifier {
  return {
    name,
    send: (notice, signal) => {
      const body = JSON.stringify(notice);
      const headers = {
        'x-openstarry-delivery': headerOf(notice.delivery_id),
        ...(secret === null ? {} : { 'x-openstarry-signature': signatureOf(body, secret) }),
      };
      return post({ url, body, headers }, signal);
    },
  };
}

const signatureOf = (body: string, secret: string): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

/** A header holds nothing else. */
const headerOf = (id: string): string => id.replaceAll(/[^\x21-\x7e]/g, '_');
