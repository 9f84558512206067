import type { AgentView } from '../contract/agent-view.ts';
import { CodedError, isErrorCode, type ErrorBody } from '../contract/errors.ts';
import type { DaemonAddress } from './daemon-address.ts';
import { ownVersion } from './version.ts';

export type Settled = AgentView & { settled: boolean; note?: string };
export type Query = Record<string, string | number | boolean | string[] | undefined>;

/** The daemon's API, for the command line. Refusals come out as the errors that they are on the other side. */
export class DaemonClient {
  readonly address: DaemonAddress;

  constructor(address: DaemonAddress) {
    this.address = address;
  }

  async json<T>(method: string, path: string, options: { query?: Query; body?: unknown } = {}): Promise<T> {
    const response = await this.#fetch(method, path, options);
    return (await response.json().catch((error: unknown) => {
      throw error instanceof SyntaxError ? this.#foreign(response) : this.#lost(error);
    })) as T;
  }

  /** Text as it comes. */
  async *text(path: string, query: Query, accept: string): AsyncGenerator<string> {
    const response = await this.#fetch('GET', path, { query, accept });
    if (response.headers.get('content-type')?.startsWith('text/html')) throw this.#foreign(response);
    if (response.body === null) return;
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body) yield decoder.decode(chunk as Uint8Array, { stream: true });
    } catch (error) {
      throw this.#lost(error);
    }
  }

  async #fetch(
    method: string,
    path: string,
    options: { query?: Query; body?: unknown; accept?: string },
  ): Promise<Response> {
    const { query, body, accept = 'application/json' } = options;
    const headers: Record<string, string> = { authorization: `Bearer ${this.address.token}`, accept };
    if (body !== undefined) headers['content-type'] = 'application/json';
    let response: Response;
    try {
      response = await fetch(`${this.address.url}${path}${queryString(query)}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw this.#lost(error);
    }
    if (response.ok) return response;
    const refusal = await refusalOf(response);
    // Each command knows its route: who does not is not the API of a daemon, or of another version.
    if (refusal === undefined || refusal.code === 'ROUTE_NOT_FOUND') throw this.#foreign(response);
    throw refusal;
  }

  /** Something else answers there: the door of Temporal's Web UI, or of the metrics. */
  #foreign({ status }: Response): CodedError {
    const message = `What answers at ${this.address.url} (HTTP ${status}) is not the API of a daemon of version ${ownVersion()}: is it the right port?`;
    return new CodedError('DAEMON_NOT_RUNNING', message);
  }

  #lost(error: unknown): CodedError {
    const cause = (error as Error).cause as { code?: string; message?: string } | undefined;
    const why = cause?.code ?? cause?.message ?? (error as Error).message;
    return new CodedError('DAEMON_NOT_RUNNING', `No answer from ${this.address.url} (${why})`, {}, error);
  }
}

export const agentPath = (agentId: string, rest = ''): string => `/agents/${encodeURIComponent(agentId)}${rest}`;
export const incidentPath = (incidentId: string, rest = ''): string =>
  `/incidents/${encodeURIComponent(incidentId)}${rest}`;
export const schedulePath = (scheduleId: string, rest = ''): string =>
  `/schedules/${encodeURIComponent(scheduleId)}${rest}`;
export const runPath = (runId: string, rest = ''): string => `/runs/${encodeURIComponent(runId)}${rest}`;
export const queuePath = (queue: string, rest = ''): string => `/queues/${encodeURIComponent(queue)}${rest}`;

function queryString(query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of value === undefined ? [] : [value].flat()) params.append(name, String(one));
  }
  return params.size === 0 ? '' : `?${params.toString()}`;
}

async function refusalOf(response: Response): Promise<CodedError | undefined> {
  const body = (await response.json().catch(() => undefined)) as Partial<ErrorBody> | undefined;
  const { code, message, details = {}, request_id } = body?.error ?? {};
  if (typeof code !== 'string') return undefined;
  if (!isErrorCode(code))
    return new CodedError('INTERNAL', `A daemon of another version answers ${String(code)}: ${message}`);
  return new CodedError(code, message ?? code, request_id === undefined ? details : { ...details, request_id });
}
