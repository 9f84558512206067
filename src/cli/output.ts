import Table from 'cli-table3';
import type { AgentView, PublicState } from '../contract/agent-view.ts';
import { ERRORS, type CodedError, type ErrorBody } from '../contract/errors.ts';
import { describePercent } from '../domain/limits.ts';
import { describeBytes } from '../domain/size.ts';
import { describeMs } from '../domain/duration.ts';
import { colors, errorColors } from './colors.ts';
import type { Settled } from './daemon-client.ts';

const COLOR_OF_STATE: Record<PublicState, (text: string) => string> = {
  pending: colors.cyan,
  starting: colors.cyan,
  running: colors.green,
  unready: colors.yellow,
  stopping: colors.yellow,
  stopped: colors.dim,
  backoff: colors.yellow,
  completed: colors.dim,
  paused: colors.blue,
  disabled: colors.red,
};

/** Prints the answer: as JSON for programs, else as people read it. */
export function print(json: boolean, answer: unknown, human: () => string): void {
  process.stdout.write(`${json ? JSON.stringify(answer, null, 2) : human()}\n`);
}

export function printError(error: CodedError, json: boolean): void {
  const { code, message } = error;
  const { remedy } = ERRORS[code];
  const { request_id: id, ...details } = error.details;
  if (json) {
    const traced = typeof id === 'string' ? { request_id: id } : {};
    const body: ErrorBody = { error: { code, message, remedy, details, ...traced } };
    process.stderr.write(`${JSON.stringify(body)}\n`);
    return;
  }
  const trace = code === 'INTERNAL' && typeof id === 'string' ? `\n  ${errorColors.dim(`request_id ${id}`)}` : '';
  process.stderr.write(`${errorColors.red(code)} ${message}\n  ${remedy}${trace}\n`);
}

export function table(head: string[], rows: string[][]): string {
  const made = new Table({
    head: head.map((text) => colors.bold(text)),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  made.push(...rows);
  // Cells are padded to their column; at the end of a line that is only noise.
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const PARTS = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
] as const;
const MORE = ['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'] as const;
const NO_LINES = Object.fromEntries([...PARTS, ...MORE].map((part) => [part, '']));

export function agentTable(agents: AgentView[]): string {
  if (agents.length === 0) return 'No agents';
  const rows = agents.map((agent) => [
    agent.agent_id,
    stateText(agent.state),
    agent.pid === null ? '-' : String(agent.pid),
    String(agent.generation),
    String(agent.restarts),
    agent.started_at === null ? '-' : since(agent.started_at),
    agent.resources === null ? '-' : describePercent(agent.resources.cpu_percent),
    agent.resources === null ? '-' : describeBytes(agent.resources.memory_bytes),
    agent.template_id ?? '-',
    shorten(agent.reason, 70),
  ]);
  return (
    table(['AGENT', 'STATE', 'PID', 'GEN', 'RESTARTS', 'UP', 'CPU', 'MEM', 'TEMPLATE', 'REASON'], rows) +
    staleNote(agents)
  );
}

/** For the end of a table. */
export const staleNote = (shown: { stale: boolean }[]): string =>
  shown.some(({ stale }) => stale) ? `\n${colors.yellow('Temporal is away: this may have been overtaken')}` : '';

/** `worker is running, pid 4711, generation 2` */
export function agentLine(agent: AgentView): string {
  const pid = agent.pid === null ? '' : `, pid ${agent.pid}`;
  return `${colors.bold(agent.agent_id)} is ${stateText(agent.state)}${pid}, generation ${agent.generation}: ${agent.reason}`;
}

export function settledLine(agent: Settled): string {
  const waiting = agent.settled ? '' : `\n  not there yet${agent.note === undefined ? '' : `: ${agent.note}`}`;
  return agentLine(agent) + waiting;
}

/** What it is, a line each. */
export function descriptionLines(agent: AgentView): string[] {
  const { template_id, template_version, fault_domain, origin, started_at, pid } = agent;
  const version = template_version === null ? '' : `, version ${template_version.slice(0, 12)}`;
  const labels = Object.entries(agent.labels).map(([name, value]) => `${name}=${value}`);
  return [
    ...(started_at === null || pid === null ? [] : [`up ${since(started_at)}, since ${started_at}`]),
    ...(template_id === null ? [] : [`template ${template_id}${version}`]),
    ...(labels.length === 0 ? [] : [`labels: ${labels.join(', ')}`]),
    `fault domain ${fault_domain}, from ${origin}`,
  ];
}

/** What its host sees of it, a line each. */
export function vitalsLines({ health, resources, limits, heartbeat }: AgentView): string[] {
  const lines = health === null ? [] : [`health: ${health}`];
  if (resources !== null) {
    const { cpu_percent = null, memory_bytes = null } = limits ?? {};
    const ofCpu = cpu_percent === null ? '' : ` of ${describePercent(cpu_percent)}`;
    const ofMemory = memory_bytes === null ? '' : ` of ${describeBytes(memory_bytes)}`;
    const cpu = describePercent(resources.cpu_percent) + ofCpu;
    const memory = describeBytes(resources.memory_bytes) + ofMemory;
    lines.push(`cpu ${cpu}, memory ${memory}`);
  }
  if (heartbeat) {
    const { at, progress, usage = {} } = heartbeat;
    const counted = Object.entries(usage).map(([name, value]) => `${name} ${value}`);
    const said = [progress === undefined ? [] : String(progress), counted].flat();
    lines.push(`heartbeat: ${since(at)} ago${said.length === 0 ? '' : `: ${said.join(', ')}`}`);
  }
  return lines;
}

export function stateText(state: PublicState): string {
  return COLOR_OF_STATE[state](state);
}

export function since(iso: string): string {
  return describeMs(Math.max(0, Math.round((Date.now() - Date.parse(iso)) / 1000)) * 1000);
}

export function shorten(text: string, characters: number): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length > characters ? `${line.slice(0, characters - 1)}…` : line;
}
