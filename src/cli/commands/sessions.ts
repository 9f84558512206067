import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { DeliveryView, QueueView, SentView, StoredMessageView } from '../../contract/messaging-views.ts';
import type { AgentView } from '../../contract/agent-view.ts';
import type { RunView } from '../../contract/run-view.ts';
import type { Shown } from '../../contract/shown.ts';
import { CodedError, ERRORS } from '../../contract/errors.ts';
import { parseDurationMs } from '../../domain/duration.ts';
import { mailboxOf } from '../../domain/messages/queue-name.ts';
import { contextOf } from '../context.ts';
import { agentPath, type DaemonClient, queuePath } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { print, shorten, since, stateText, table } from '../output.ts';
import { during } from '../progress.ts';
import { runTable } from '../run-output.ts';
import { sentLine } from './send.ts';
import { watching } from '../watch.ts';

/**
 * Where answers to people come in: they have no mailbox. One for all of them, since each looks for its own by its correlation
 * id; and one that nobody fetches goes by itself.
 */
const REPLIES = 'admin-replies';
const REPLIES_SETTINGS = { ttl: '1h', attempts: 5 };
/** They say that somebody works on it. */
const INTERIM = ['TASK_ACCEPT', 'TASK_PROGRESS'];
const MAX_POLL_MS = 30_000;
/** The latest; older ones that still go on are in `runs ls`. */
const MAX_RUNS = 200;

interface Session {
  agent_id: string;
  state: AgentView['state'];
  pid: number | null;
  /** Messages in its mailbox that have not been acknowledged. */
  unread: number;
  oldest_unread_at: string | null;
}

interface Sessions {
  sessions: Session[];
  runs: Shown<RunView>[];
}

interface Answered {
  id: string;
  correlation_id: string;
  /** Null if none came in time. */
  answer: Omit<DeliveryView, 'lease' | 'lease_until'> | null;
}

export function addSessionCommands(program: Command): void {
  const sessions = program.command('sessions').description('talk to agents');
  withExamples(sessions, 'sessions list', 'sessions send w1 "How far are you?" --wait 30s');

  const list = sessions
    .command('list')
    .description('list the agents that run, with their unread mail; and the runs that are under way')
    .option('--all', 'those that do not run, too')
    .option('-w, --watch', 'keep it current, until Ctrl-C')
    .action(async (options: { all?: boolean; watch?: boolean }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const look = () => sessionsOf(daemon, options.all === true);
      if (options.watch) return watching(json, look, sessionTable);
      const answer = await look();
      print(json, answer, () => sessionTable(answer));
    });
  withExamples(list, 'sessions list', 'sessions list --all --json');

  const send = sessions
    .command('send <agent_id> <text>')
    .description('say something to an agent')
    .option('--wait <time>', 'wait for its answer, at most so long, such as 30s, and print it')
    .action(async (agentId: string, text: string, options: { wait?: string }, command: Command) => {
      const { json, daemon } = contextOf(command);
      const path = agentPath(agentId, '/messages');
      const body = { type: 'TEXT', payload: text };
      if (options.wait === undefined) {
        const sent = await daemon.json<SentView>('POST', path, { body });
        return print(json, sent, () => sentLine(sent, agentId));
      }
      const waitMs = durationOf(options.wait);
      const correlation = randomUUID();
      await daemon.json('PUT', queuePath(REPLIES), { body: REPLIES_SETTINGS });
      const question = { ...body, correlation_id: correlation, reply_to: REPLIES };
      const { id } = await daemon.json<SentView>('POST', path, { body: question });
      const answer = await during(`Waiting for ${agentId}`, () => answerTo(daemon, correlation, waitMs));
      const answered: Answered = { id, correlation_id: correlation, answer };
      if (answer !== null) return print(json, answered, () => textOf(answer));
      const why = await whereItIs(daemon, agentId, id, correlation);
      print(json, answered, () => `${agentId} has not answered within ${options.wait}: ${why}`);
      process.exitCode = ERRORS.NOT_READY.exit;
    });
  withExamples(
    send,
    'sessions send w1 "Please stop after this report"',
    'sessions send w1 "How far are you?" --wait 30s',
  );
}

async function sessionsOf(daemon: DaemonClient, all: boolean): Promise<Sessions> {
  const [{ agents }, { queues }, { runs }] = await Promise.all([
    daemon.json<{ agents: AgentView[] }>('GET', '/agents'),
    daemon.json<{ queues: QueueView[] }>('GET', '/queues'),
    daemon.json<{ runs: Shown<RunView>[] }>('GET', '/runs', { query: { limit: MAX_RUNS } }),
  ]);
  const mail = new Map(queues.map((queue) => [queue.name, queue]));
  const sessions = agents
    .filter(({ pid }) => all || pid !== null)
    .map(({ agent_id, state, pid }): Session => {
      const box = mail.get(mailboxOf(agent_id));
      return { agent_id, state, pid, unread: box?.size ?? 0, oldest_unread_at: box?.oldest_ready_at ?? null };
    });
  return { sessions, runs: runs.filter(({ ended_at }) => all || ended_at === null) };
}

function sessionTable({ sessions, runs }: Sessions): string {
  const agents = agentRows(sessions);
  return runs.length === 0 ? agents : `${agents}\n\n${runTable(runs)}`;
}

function agentRows(sessions: Session[]): string {
  if (sessions.length === 0) return 'No agents run';
  const rows = sessions.map(({ agent_id, state, pid, unread, oldest_unread_at: oldest }) => [
    agent_id,
    stateText(state),
    pid === null ? '-' : String(pid),
    String(unread),
    oldest === null ? '-' : since(oldest),
  ]);
  return table(['AGENT', 'STATE', 'PID', 'UNREAD', 'OLDEST'], rows);
}

function durationOf(text: string): number {
  try {
    return parseDurationMs(text);
  } catch (error) {
    throw new CodedError('INVALID_REQUEST', `--wait: ${(error as Error).message}`, {}, error);
  }
}

/** @returns null if none has come in time */
async function answerTo(daemon: DaemonClient, correlation: string, waitMs: number): Promise<Answered['answer']> {
  const until = performance.now() + waitMs;
  for (;;) {
    const leftMs = Math.ceil(until - performance.now());
    if (leftMs <= 0) return null;
    const query = { correlation_id: correlation, max: 1, wait: `${Math.min(leftMs, MAX_POLL_MS)}ms` };
    const path = queuePath(REPLIES, '/messages');
    const { messages } = await daemon.json<{ messages: DeliveryView[] }>('GET', path, { query });
    for (const { lease, lease_until: _until, ...message } of messages) {
      await daemon.json('POST', `${path}/${encodeURIComponent(message.id)}/ack`, { body: { lease } });
      if (!INTERIM.includes(message.type)) return message;
      process.stderr.write(`${message.from}: ${message.type} ${JSON.stringify(message.payload)}\n`);
    }
  }
}

/** A text is printed as it is. */
function textOf({ payload }: NonNullable<Answered['answer']>): string {
  if (typeof payload === 'string') return payload;
  const { text } = (payload ?? {}) as { text?: unknown };
  return typeof text === 'string' ? text : JSON.stringify(payload, null, 2);
}

async function whereItIs(daemon: DaemonClient, agentId: string, id: string, correlation: string): Promise<string> {
  const query = { queue: mailboxOf(agentId), correlation_id: correlation, limit: 1 };
  const { messages } = await daemon.json<{ messages: StoredMessageView[] }>('GET', '/messages', { query });
  const message = messages.find((one) => one.id === id);
  if (message === undefined) return 'it has taken and acknowledged the message';
  if (message.death !== null) return `the message was given up: ${shorten(message.death.reason, 200)}`;
  if (message.state === 'leased') return `it has the message (${message.consumer ?? 'somebody'})`;
  const { state, reason } = await daemon.json<AgentView>('GET', agentPath(agentId));
  return `the message waits in its mailbox, and the agent is ${state}: ${reason}`;
}
