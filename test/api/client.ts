import type { InjectOptions } from 'fastify';
import { TOKEN, type ApiFixture } from './api-fixture.ts';

type Given = Omit<InjectOptions, 'url' | 'method' | 'headers'> & { headers?: Record<string, string>; json?: unknown };

/** A request as the admin sends it, from this machine. */
export async function send(api: ApiFixture, method: string, url: string, { json, headers = {}, ...given }: Given = {}) {
  const auth = { host: '127.0.0.1:5050', authorization: `Bearer ${TOKEN}` };
  const body = json === undefined ? {} : { payload: JSON.stringify(json) };
  const type = json === undefined ? {} : { 'content-type': 'application/json' };
  const options = { url, ...body, ...given, headers: { ...auth, ...type, ...headers } };
  return api.app.inject({ ...options, method: method as 'GET' });
}
