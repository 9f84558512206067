import { endpointOf, parse, send, type Endpoint, type Query } from './http.ts';
import type {
  AgentView,
  AgentArgs,
  AgentTransport,
  ListArgs,
  LogsArgs,
  SignalArgs,
  StartArgs,
  Stopped,
  StopArgs,
} from './types.ts';

export interface RestOptions extends Endpoint {
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
    return new RestTransport(endpointOf(env));
  }

  start(args: StartArgs): Promise<AgentView> {
    return this.call('POST', '/agents', {}, args);
  }

  async stop({ agent_id, grace }: StopArgs): Promise<Stopped> {
    const { deleted = false } = await this.call<Partial<Stopped>>('DELETE', pathOf(agent_id), { grace });
    return { agent_id, deleted };
  }

  status({ agent_id }: AgentArgs): Promise<AgentView> {
    return this.call('GET', pathOf(agent_id));
  }

  list({ state, template_id }: ListArgs): Promise<{ agents: AgentView[] }> {
    return this.call('GET', '/agents', { state, template_id });
  }

  restart({ agent_id }: AgentArgs): Promise<AgentView> {
    return this.call('POST', `${pathOf(agent_id)}/restart`);
  }

  signal({ agent_id, name }: SignalArgs): Promise<{ agent_id: string; revision: number }> {
    return this.call('POST', `${pathOf(agent_id)}/signal`, {}, { name });
  }

  pause({ agent_id }: AgentArgs): Promise<AgentView> {
    return this.call('POST', `${pathOf(agent_id)}/pause`);
  }

  resume({ agent_id }: AgentArgs): Promise<AgentView> {
    return this.call('POST', `${pathOf(agent_id)}/resume`);
  }

  async logs({ agent_id, tail = 100 }: LogsArgs): Promise<{ agent_id: string; lines: string[] }> {
    const text = await this.send('GET', `${pathOf(agent_id)}/logs`, { tail });
    return { agent_id, lines: text === '' ? [] : text.replace(/\n$/, '').split('\n') };
  }

  private async call<T>(...request: Parameters<RestTransport['send']>): Promise<T> {
    return parse(await this.send(...request)) as T;
  }

  private send(method: string, path: string, query: Query = {}, body?: object): Promise<string> {
    const { timeoutMs = 60_000, ...endpoint } = this.options;
    return send(endpoint, { method, path, query, timeoutMs, ...(body === undefined ? {} : { body }) });
  }
}

const pathOf = (agentId: string): string => `/agents/${encodeURIComponent(agentId)}`;
