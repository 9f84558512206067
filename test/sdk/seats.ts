import { readFileSync } from 'node:fs';
import { Agent, type AgentOptions } from '../../sdk/typescript/src/index.ts';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

/**
 * A place among the agents of a daemon, for a program in the test itself: its process sleeps, its environment is what the
 * daemon gave to it.
 */
export async function seatOf(
  daemon: TestDaemon,
  agentId: string,
  more: Record<string, unknown> = {},
): Promise<Record<string, string>> {
  const known = await daemon.agent(agentId);
  if (known === undefined) {
    const body = { agent_id: agentId, command: ['sleep', '36071'], ...more };
    const made = await daemon.call('POST', '/agents', body);
    if (made.status !== 201) throw new Error(`${agentId}: ${JSON.stringify(made.body)}`);
  }
  return environmentOf(await daemon.untilAgent(agentId, (agent) => agent.state === 'running', 'running'));
}

export async function environmentOf({ pid }: AgentView): Promise<Record<string, string>> {
  return until(
    () => {
      const text = readFileSync(`/proc/${pid}/environ`, 'utf8');
      const env = Object.fromEntries(text.split('\0').map((each) => each.split(/=(.*)/s).slice(0, 2))) as Record<
        string,
        string
      >;
      return env['OPENSTARRY_TOKEN'] === undefined ? undefined : env; // between fork and exec it is the custodian's
    },
    { what: `the environment of ${pid}` },
  );
}

/** An agent in this process; `end` stops it. */
export async function sit(
  daemon: TestDaemon,
  agentId: string,
  options: AgentOptions = {},
): Promise<Agent & { lines: string[] }> {
  const lines: string[] = [];
  const env = await seatOf(daemon, agentId);
  const agent = new Agent({ env, log: (line) => void lines.push(line), heartbeats: false, ...options });
  return Object.assign(agent, { lines });
}
