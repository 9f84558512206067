import os from 'node:os';
import type { Command } from 'commander';
import type { IncidentReport, IncidentView } from '../../contract/incident-view.ts';
import type { Shown } from '../../contract/shown.ts';
import { CodedError } from '../../contract/errors.ts';
import { contextOf } from '../context.ts';
import { incidentPath, type DaemonClient, type Query } from '../daemon-client.ts';
import { withExamples } from '../examples.ts';
import { incidentLine, incidentTable, incidentText } from '../incident-output.ts';
import { given, readJson } from '../message-body.ts';
import { print } from '../output.ts';
import { watching } from '../watch.ts';

interface ListOptions {
  state?: string;
  severity?: string;
  agent?: string;
  all?: boolean;
  limit: string;
  watch?: boolean;
}

interface OpenOptions {
  id?: string;
  severity?: string;
  agent?: string;
  value?: string;
  threshold?: string;
  tried?: string;
  needed?: string;
  details?: string;
  propose?: string;
  reason?: string;
  risk?: string;
  expires?: string;
  onExpiry?: string;
}

interface WordOptions {
  by?: string;
  note?: string;
}

interface Page {
  incidents: Shown<IncidentView>[];
  next_cursor: string | null;
}

const BY = ['--by <name>', 'who says so (your user name)'] as const;
const NOTE = ['--note <text>', 'why'] as const;

export function addIncidentCommands(program: Command): void {
  const incidents = program.command('incidents').description('what someone must know, and what waits for a decision');
  withExamples(incidents, 'incidents ls', 'incidents show agent.w1.1', 'incidents ack agent.w1.1 --note "on it"');

  const ls = incidents
    .command('ls')
    .description('list incidents that are not resolved, the latest first')
    .option('-a, --all', 'those that are resolved, too')
    .option('--state <state>', 'open, acknowledged or resolved')
    .option('--severity <severity>', 'info, warning or critical')
    .option('--agent <agent_id>', 'those about this agent')
    .option('-n, --limit <incidents>', 'how many', '100')
    .option('-w, --watch', 'keep it current, until Ctrl-C')
    .action(async (options: ListOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const list = () => listed(daemon, options);
      if (options.watch) return watching(json, list, (answer) => incidentTable(answer.incidents));
      const answer = await list();
      print(json, answer, () => incidentTable(answer.incidents));
    });
  withExamples(ls, 'incidents ls', 'incidents ls --severity critical --watch', 'incidents ls --all --agent w1 --json');

  const show = incidents
    .command('show <incident_id>')
    .description('show an incident: what it is, who was told, what happened')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { json, daemon } = contextOf(command);
      const incident = await daemon.json<IncidentView>('GET', incidentPath(id));
      print(json, incident, () => incidentText(incident));
    });
  withExamples(show, 'incidents show agent.w1.1', 'incidents show disk-full --json');

  const open = incidents
    .command('open <summary>')
    .description('report an incident, or, with --propose, ask for an approval')
    .option('--id <incident_id>', 'the same id is the same incident (a new one)')
    .option('--severity <severity>', 'info, warning or critical (warning)')
    .option('--agent <agent_id>', 'the agent that it is about')
    .option('--value <text>', 'what was seen, such as "disk 97 %"')
    .option('--threshold <text>', 'which limit it passed, such as "90 %"')
    .option('--tried <text>', 'what was tried, and what came of it')
    .option('--needed <text>', 'what is needed now')
    .option('--details <json>', 'any JSON, or @file; @- reads the standard input')
    .option('--propose <action>', 'a command and an agent, such as "restart w1", or any text')
    .option('--reason <text>', 'of a proposal: why')
    .option('--risk <risk>', 'of a proposal: low, medium or high (high)')
    .option('--expires <time>', 'of a proposal: by when it has to be decided, such as 2h')
    .option('--on-expiry <what>', 'of a proposal with --expires: keep, approve or reject (keep)')
    .action(async (summary: string, options: OpenOptions, command: Command) => {
      const { json, daemon } = contextOf(command);
      const incident = await daemon.json<IncidentView>('POST', '/incidents', { body: reportBody(summary, options) });
      print(json, incident, () => incidentLine(incident));
    });
  withExamples(
    open,
    'incidents open "the disk is nearly full" --id disk-full --value "disk 97 %" --threshold "90 %"',
    'incidents open "w1 leaks" --propose "restart w1" --reason "1 GiB an hour" --risk low --expires 2h --on-expiry reject',
  );

  addWord(incidents, 'ack', 'acknowledge', 'somebody takes care of it: nobody is reminded any more');
  addWord(incidents, 'resolve', 'resolve', 'it is over');
  addWord(incidents, 'reopen', 'reopen', 'it is not over');
  addWord(program, 'approve', 'approve', 'approve what an incident proposes; decided once');
  addWord(program, 'reject', 'reject', 'reject what an incident proposes; decided once');
}

function addWord(parent: Command, name: string, verb: string, does: string): void {
  const command = parent
    .command(`${name} <incident_id>`)
    .description(does)
    .option(...NOTE)
    .option(...BY)
    .action(async (id: string, { by = userName(), note }: WordOptions, own: Command) => {
      const { json, daemon } = contextOf(own);
      const body = { ...given('by', by), ...given('note', note) };
      const incident = await daemon.json<IncidentView>('POST', incidentPath(id, `/${verb}`), { body });
      print(json, incident, () => incidentLine(incident));
    });
  const path = parent.parent === null ? name : `${parent.name()} ${name}`;
  withExamples(command, `${path} disk-full`, `${path} disk-full --by kim --note "seen on the dashboard"`);
}

/** As far as is asked for, page by page. */
async function listed(daemon: DaemonClient, options: ListOptions): Promise<Page> {
  const { state, severity, agent, all = false, limit } = options;
  const wanted = Number(limit);
  if (!/^\d{1,5}$/.test(limit) || wanted < 1)
    throw new CodedError('INVALID_REQUEST', `--limit is ${limit}; expected a whole number from 1 to 99999`);
  const incidents: Shown<IncidentView>[] = [];
  let cursor: string | undefined;
  for (;;) {
    const query: Query = { state, severity, agent_id: agent, limit: 500, cursor };
    const page = await daemon.json<Page>('GET', '/incidents', { query });
    incidents.push(...page.incidents.filter((one) => all || state !== undefined || one.state !== 'resolved'));
    cursor = page.next_cursor ?? undefined;
    if (cursor === undefined || incidents.length >= wanted)
      return { incidents: incidents.slice(0, wanted), next_cursor: page.next_cursor };
  }
}

function reportBody(summary: string, options: OpenOptions): object {
  const { id, agent, details, propose, reason, risk, expires, onExpiry, ...said } = options;
  const stray = Object.entries({ reason, risk, expires, 'on-expiry': onExpiry }).find(
    ([, value]) => value !== undefined,
  );
  if (propose === undefined && stray !== undefined)
    throw new CodedError('INVALID_REQUEST', `--${stray[0]} is for a proposal; say with --propose what is proposed`);
  if (propose !== undefined && reason === undefined)
    throw new CodedError('INVALID_REQUEST', 'A proposal needs a --reason');
  return {
    summary,
    ...given('incident_id', id),
    ...given('agent_id', agent),
    ...said,
    ...given('details', details === undefined ? undefined : readJson('--details', details)),
    ...given(
      'proposal',
      propose === undefined
        ? undefined
        : {
            action: actionOf(propose),
            reason,
            risk: risk ?? 'high',
            ...given('expires', expires),
            ...given('on_expiry', onExpiry),
          },
    ),
  };
}

/** `restart w1` is a command of the daemon; anything else is a text. */
function actionOf(text: string): NonNullable<IncidentReport['proposal']>['action'] {
  const [, command, agent_id] = /^(start|stop|restart|pause|resume) (\S+)$/.exec(text.trim()) ?? [];
  if (command === undefined || agent_id === undefined) return text;
  return { command: command as 'restart', agent_id };
}

/** Undefined where the machine has no name for the user. */
function userName(): string | undefined {
  try {
    return os.userInfo().username || undefined;
  } catch {
    return undefined;
  }
}
