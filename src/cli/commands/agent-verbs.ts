import type { Command } from 'commander';
import type { PublicState } from '../../contract/agent-view.ts';
import { CodedError, ERRORS, isErrorCode, type ErrorBody } from '../../contract/errors.ts';
import { errorColors } from '../colors.ts';
import { collect, contextOf } from '../context.ts';
import { agentPath, type Settled } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { print, settledLine, stateText } from '../output.ts';
import { during } from '../progress.ts';

export const WAIT = ['--wait <how>', 'running, ready, accepted, none, or how long, such as 5s'] as const;
export const GRACE = ['--grace <time>', 'how long it may take to leave by itself, such as 2s'] as const;

export interface Selection {
  all?: boolean;
  label?: string[];
  faultDomain?: string;
}

export interface BulkAnswer {
  results: {
    agent_id: string;
    settled: boolean;
    state?: PublicState;
    note?: string;
    error?: ErrorBody['error'];
  }[];
  total: number;
  settled: number;
  failed: number;
}

const VERBS = {
  start: { does: 'start agents that do not run', doing: 'Starting' },
  stop: { does: 'stop agents and all that they have started', doing: 'Stopping' },
  restart: { does: 'restart agents; not counted as a failure', doing: 'Restarting' },
  pause: { does: 'make agents and all that they have started stand still', doing: 'Pausing' },
  resume: { does: 'let agents go on that were paused', doing: 'Resuming' },
} as const;

/** One command for one agent, for several, or for all that are selected. */
export function addAgentVerbs(agents: Command): void {
  for (const [verb, { does, doing }] of Object.entries(VERBS)) {
    const own = withSelection(agents.command(`${verb} [agent_id...]`).description(does)).option(...WAIT);
    if (verb === 'stop') own.option(...GRACE);
    own.action(async (ids: string[], options: Selection & { wait?: string; grace?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const { wait, grace } = options;
      const query = { wait, grace };
      const body = selectionOf(verb, ids, options);
      const [only, ...others] = ids;
      if (only !== undefined && others.length === 0) {
        const agent = await during(`${doing} ${only}`, () =>
          daemon.json<Settled>('POST', agentPath(only, `/${verb}`), { query }),
        );
        return print(json, agent, () => settledLine(agent));
      }
      const answer = await during(`${doing} ${ids.length > 0 ? `${ids.length} agents` : 'the agents'}`, () =>
        body === undefined
          ? each(ids, (id) => daemon.json<Settled>('POST', agentPath(id, `/${verb}`), { query }))
          : daemon.json<BulkAnswer>('POST', `/agents:${verb}`, { query, body }),
      );
      printBulk(json, answer);
    });
    withExamples(
      own,
      `agents ${verb} w1`,
      `agents ${verb} w1 w2 --wait accepted`,
      `agents ${verb} --label team=research${verb === 'stop' ? ' --grace 2s' : ''}`,
      `agents ${verb} --all`,
    );
  }
}

export function withSelection(command: Command): Command {
  return command
    .option('--all', 'all agents')
    .option('--label <label>', 'those with name=value, or name; repeatable', collect)
    .option('--fault-domain <name>', 'those in this fault domain');
}

/** @returns undefined if agents are named instead */
export function selectionOf(verb: string, ids: string[], { all, label, faultDomain }: Selection): object | undefined {
  const isSelected = all === true || label !== undefined || faultDomain !== undefined;
  if (ids.length > 0 && !isSelected) return undefined;
  if (ids.length > 0) throw new CodedError('INVALID_REQUEST', `${verb}: name agents, or select them, not both`);
  if (!isSelected) {
    const message = `${verb}: which agents? Name them, or give --all, --label or --fault-domain`;
    throw new CodedError('INVALID_REQUEST', message);
  }
  if (all) {
    if (label === undefined && faultDomain === undefined) return { all: true };
    throw new CodedError('INVALID_REQUEST', `${verb}: --all goes with no other selection`);
  }
  return {
    ...(label === undefined ? {} : { labels: label }),
    ...(faultDomain === undefined ? {} : { fault_domain: faultDomain }),
  };
}

/** The same for each of several, at the same time; what one refuses is reported with its name. */
export async function each(
  ids: string[],
  command: (agentId: string) => Promise<Settled | { deleted: true }>,
): Promise<BulkAnswer> {
  const results = await Promise.all(
    ids.map(async (agent_id) => {
      try {
        const answer = await command(agent_id);
        if ('deleted' in answer) return { agent_id, settled: true };
        const { settled, state, note } = answer;
        return { agent_id, settled, state, ...(note === undefined ? {} : { note }) };
      } catch (error) {
        if (!(error instanceof CodedError) || error.code === 'DAEMON_NOT_RUNNING') throw error;
        const { code, message, remedy, details } = error;
        return { agent_id, settled: false, error: { code, message, remedy, details } };
      }
    }),
  );
  return {
    results,
    total: results.length,
    settled: results.filter(({ settled }) => settled).length,
    failed: results.filter(({ error }) => error !== undefined).length,
  };
}

/** Prints it and sets the exit code. */
export function printBulk(json: boolean, answer: BulkAnswer): void {
  print(json, answer, () => bulkText(answer));
  process.exitCode = exitOf(answer);
}

function bulkText({ results, total }: BulkAnswer): string {
  if (total === 0) return 'No agent is selected';
  return results
    .map(({ agent_id, settled, state, note, error }) => {
      if (error) return `${agent_id}: ${errorColors.red(error.code)} ${error.message}`;
      const waiting = settled ? '' : `, not there yet${note === undefined ? '' : `: ${note}`}`;
      return `${agent_id} is ${state === undefined ? 'gone' : stateText(state)}${waiting}`;
    })
    .join('\n');
}

/** Of the first that has refused. */
function exitOf({ results }: BulkAnswer): number {
  const code = results.find(({ error }) => error !== undefined)?.error?.code;
  return isErrorCode(code) ? ERRORS[code].exit : 0;
}
