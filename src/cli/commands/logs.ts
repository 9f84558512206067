import type { Command } from 'commander';
import type { AgentView } from '../../contract/agent-view.ts';
import { CodedError } from '../../contract/errors.ts';
import { colors } from '../colors.ts';
import { collect, contextOf } from '../context.ts';
import { agentPath, type DaemonClient } from '../daemon-client.ts';
import { followEvents } from '../events.ts';
import { withExamples } from '../examples.ts';

interface LogOptions {
  follow?: boolean;
  tail?: string;
  since?: string;
  all?: boolean;
  label?: string[];
}

const TAIL_OF_ONE = '100';
const TAIL_OF_MANY = '10';

export function addLogCommand(agents: Command): void {
  const logs = agents
    .command('logs [agent_id...]')
    .description('show what agents have written; of several or all, each line begins with the agent')
    .option('-f, --follow', 'go on with what they write')
    .option(
      '-n, --tail <lines>',
      `how many lines of each to begin with (${TAIL_OF_ONE} of one, ${TAIL_OF_MANY} of several)`,
    )
    .option(
      '--since <when>',
      'only what was written since then: 10m, or 2026-01-31T09:00:00Z. Exact where lines begin with their time or are ' +
        'JSON with time, timestamp, ts or at; of other output, all of each file that has been written to since',
    )
    .option('--all', 'all agents; with --follow also those that come')
    .option('--label <label>', 'agents with name=value, or name; repeatable', collect)
    .action(async (ids: string[], options: LogOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const [only, ...others] = ids;
      const isSelected = options.all === true || options.label !== undefined;
      if (only === undefined && !isSelected)
        throw new CodedError('INVALID_REQUEST', 'logs: of which agents? Name them, or give --all or --label');
      if (only !== undefined && isSelected)
        throw new CodedError('INVALID_REQUEST', 'logs: name agents, or select them, not both');
      if (only !== undefined && others.length === 0) return one(daemon, only, options, json);
      const named = only === undefined ? await selected(daemon, options.label) : ids;
      const writer = new Interleaved(daemon, options, json);
      await writer.begin(named);
      if (options.follow && only === undefined) await writer.welcome(options.label);
      await writer.ended();
    });
  withExamples(
    logs,
    'agents logs w1',
    'agents logs -f w1 -n 0',
    'agents logs -f --all',
    'agents logs w1 w2 --since 10m',
    'agents logs -f --label team=research --json',
  );
}

async function one(daemon: DaemonClient, agentId: string, options: LogOptions, json: boolean): Promise<void> {
  const query = queryOf(options, TAIL_OF_ONE);
  const accept = json ? 'application/x-ndjson' : 'text/plain';
  for await (const text of daemon.text(agentPath(agentId, '/logs'), query, accept)) process.stdout.write(text);
}

function queryOf({ tail, since, follow }: LogOptions, usual: string) {
  return { tail: tail ?? usual, since, follow: follow ?? false };
}

async function selected(daemon: DaemonClient, label: string[] | undefined): Promise<string[]> {
  const { agents } = await daemon.json<{ agents: AgentView[] }>('GET', '/agents', { query: { label } });
  return agents.map(({ agent_id }) => agent_id);
}

const COLORS = [colors.cyan, colors.magenta, colors.yellow, colors.green, colors.blue];

/** The output of several agents, line by line, each with its agent in front. */
class Interleaved {
  readonly #daemon: DaemonClient;
  readonly #options: LogOptions;
  readonly #json: boolean;
  readonly #reading = new Map<string, Promise<void>>();
  #width = 0;

  constructor(daemon: DaemonClient, options: LogOptions, json: boolean) {
    this.#daemon = daemon;
    this.#options = options;
    this.#json = json;
  }

  /** Followed, all at the same time; else one after the other. */
  async begin(agentIds: string[]): Promise<void> {
    this.#width = Math.max(...agentIds.map((id) => id.length), 0);
    for (const agentId of agentIds) {
      const reading = this.#read(agentId);
      if (this.#options.follow) this.#reading.set(agentId, reading);
      else await reading;
    }
  }

  /** Takes in agents that are new, until the daemon goes. */
  async welcome(label: string[] | undefined): Promise<void> {
    for await (const { event, data } of followEvents(this.#daemon)) {
      if (event !== 'agent') continue;
      const agent = data as AgentView;
      if (this.#reading.has(agent.agent_id) || agent.pid === null) continue;
      if (label !== undefined && !(await selected(this.#daemon, label)).includes(agent.agent_id)) continue;
      this.#reading.set(agent.agent_id, this.#read(agent.agent_id));
    }
  }

  async ended(): Promise<void> {
    await Promise.all(this.#reading.values());
  }

  async #read(agentId: string): Promise<void> {
    const query = queryOf(this.#options, TAIL_OF_MANY);
    const number = this.#reading.size;
    let rest = '';
    try {
      for await (const text of this.#daemon.text(agentPath(agentId, '/logs'), query, 'text/plain')) {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#write(agentId, number, line);
      }
    } catch (error) {
      if (!this.#options.follow || !(error instanceof CodedError) || error.code !== 'AGENT_NOT_FOUND') throw error;
    } finally {
      this.#reading.delete(agentId); // one of that name may come again
    }
    if (rest !== '') this.#write(agentId, number, rest);
  }

  #write(agentId: string, number: number, line: string): void {
    const color = COLORS[number % COLORS.length] ?? colors.cyan;
    process.stdout.write(
      this.#json
        ? `${JSON.stringify({ agent_id: agentId, line })}\n`
        : `${color(`${agentId.padEnd(this.#width)} │`)} ${line}\n`,
    );
  }
}
