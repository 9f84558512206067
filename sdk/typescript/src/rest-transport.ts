import {
  AgentManagerError,
  type Agent,
  type AgentArgs,
  type AgentTransport,
  type ListArgs,
  type LogsArgs,
  type SignalArgs,
  type StartArgs,
  type Stopped,
  type StopArgs,
} from './types.ts';

export interface RestOptions {
  /** Such as `http://127.0.0.1:5050`. */
  url: string;
  token: string;
  /** For one call; a start or stop may take as long as the daemon waits. @default 60000 */
  timeoutMs?: number;
}

/** Over the daemon's REST API. */
export class RestTransport implements AgentTransport {
  private readonly options: RestOptions;

  constructor(options: RestOptions) {
    this.options = options;
  }

  /** With what the daemon puts into the environment of every agent. */
  static fromEnvironment(env: Record<string, string | undefined> = process.env): RestTransport {
    const { OPENSTARRY_API_URL: url, OPENSTARRY_TOKEN: token } = env;
    if (url && token) return new RestTransport({ url, token });
    const missing = url ? 'OPENSTARRY_TOKEN' : 'OPENSTARRY_API_URL';
    const message = `${missing} is not in the environment: run this as an agent of the daemon, or give a transport`;
    throw new AgentManagerError('INVALID_REQUEST', message);
  }

  start(args: StartArgs): Promise<Agent> {
    return this.call('POST', '/agents', {}, args);
  }

  async stop({ agent_id, grace }: StopArgs): Promise<Stopped> {
    const { deleted = false } = await this.call<Partial<Stopped>>('DELETE', pathOf(agent_id), { grace });
    return { agent_id, deleted };
  }

  status({ agent_id }: AgentArgs): Promise<Agent> {
    return this.call('GET', pathOf(agent_id));
  }

  list({ state, template_id }: ListArgs): Promise<{ agents: Agent[] }> {
    return this.call('GET', '/agents', { state, template_id });
  }

  restart({ agent_id }: AgentArgs): Promise<Agent> {
    return this.call('POST', `${pathOf(agent_id)}/restart`);
  }

  signal({ agent_id, name }: SignalArgs): Promise<{ agent_id: string; revision: number }> {
    return this.call('POST', `${pathOf(agent_id)}/signal`, {}, { name });
  }

  pause({ agent_id }: AgentArgs): Promise<Agent> {
    return this.call('POST', `${pathOf(agent_id)}/pause`);
  }

  resume({ agent_id }: AgentArgs): Promise<Agent> {
    return this.call('POST', `${pathOf(agent_id)}/resume`);
  }

  async logs({ agent_id, tail = 100 }: LogsArgs): Promise<{ agent_id: string; lines: string[] }> {
    const text = await this.send('GET', `${pathOf(agent_id)}/logs`, { tail: String(tail) });
    return { agent_id, lines: text === '' ? [] : text.replace(/\n$/, '').split('\n') };
  }

  private async call<T>(...request: Parameters<RestTransport['send']>): Promise<T> {
    return parse(await this.send(...request)) as T;
  }

  private async send(
    method: string,
    path: string,
    query: Record<string, string | undefined> = {},
    body?: object,
  ): Promise<string> {
    const { url, token, timeoutMs = 60_000 } = this.options;
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const search = given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${url.replace(/\/+$/, '')}${path}${search}`, {
        method,
        headers,
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      const { cause, message } = error as Error & { cause?: { code?: string } };
      throw new AgentManagerError(
        'DAEMON_NOT_RUNNING',
        `${url} does not answer: ${cause?.code ?? message}`,
        '',
        {},
        error,
      );
    }
    if (response.ok) return text;
    const { code, message, remedy, details } =
      (parse(text) as { error?: Partial<AgentManagerError> } | null)?.error ?? {};
    throw new AgentManagerError(
      code ?? `HTTP_${response.status}`,
      message ?? `${method} ${path} was answered with status ${response.status}`,
      remedy,
      details,
    );
  }
}

const pathOf = (agentId: string): string => `/agents/${encodeURIComponent(agentId)}`;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
