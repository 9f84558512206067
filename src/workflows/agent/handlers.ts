import { ApplicationFailure, defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import type { AgentInput } from '../../contract/agent-input.ts';
import type { Accepted, CommandArgs, Notice, Reconcile } from '../../contract/messages.ts';
import { NOTICE_SIGNAL, RECONCILE_SIGNAL, STATUS_QUERY, type CommandName } from '../../contract/names.ts';
import { WATCH_SIGNAL, type Watch } from '../../contract/run-workflow.ts';
import type { AgentEvent } from '../../domain/agent-state.ts';
import { parseDurationMs } from '../../domain/duration.ts';
import { publicState } from '../../domain/public-state.ts';
import { isSignalName, SIGNALS } from '../../domain/stop-policy.ts';
import type { ErrorCode } from '../../contract/errors.ts';
import { addWatcher, restOf } from './rest-watch.ts';
import { shapeProblem } from './input-shape.ts';
import type { Life } from './life.ts';
import { definitionKeepsRun } from './replay-compat.ts';
import { statusOf } from './status.ts';

const MAX_NOTICE_CHARACTERS = 500;
const MAX_REQUEST_ID_CHARACTERS = 256;
const MAX_ONCE_ID = 512;
/** How many commands that may come again are remembered. */
const ANSWERED = 20;

/**
 * Sets all handlers, before anything is awaited. A handler checks its argument and enqueues; it never awaits, so
 * handlers cannot interleave. Each command exists as an update (answers with the revision it was accepted as) and as a
 * signal (durable without an answer; a bad argument is ignored, since a signal has nobody to tell).
 */
export function registerHandlers(life: Life): void {
  command(life, 'start', (args) =>
    args.spec === undefined ? enqueue(life, { kind: 'start' }) : startWith(life, args.spec),
  );
  command(life, 'restart', () => enqueue(life, { kind: 'restart' }));
  for (const kind of ['pause', 'resume'] as const) {
    command(life, kind, () => {
      checkWanted(life, kind);
      enqueue(life, { kind });
    });
  }
  command(life, 'stop', (args) => enqueue(life, { kind: 'stop', ...graceOf(args.grace) }));
  command(life, 'delete', (args) => enqueue(life, { kind: 'delete', ...graceOf(args.grace) }));
  command(life, 'signal', (args) => life.signals.push(signalOf(life, args.name)));
  command(life, 'configure', (args) => {
    checkSpec(life, args.spec);
    checkRun(life, args.spec);
    life.proposed = args.spec;
    enqueue(life, { kind: 'configure' });
  });
  setHandler(defineSignal<[Reconcile]>(RECONCILE_SIGNAL), (told) => {
    if (typeof told?.fence !== 'number') return;
    const { sequence = 0, ...custody } = told;
    enqueue(life, { kind: 'custody-hinted', custody, isLater: sequence > life.sequence });
  });
  setHandler(defineSignal<[Notice]>(NOTICE_SIGNAL), (notice) => {
    const { generation, summary } = notice ?? {};
    if (typeof generation === 'number' && typeof summary === 'string') {
      enqueue(life, { kind: 'noticed', generation, summary: summary.slice(0, MAX_NOTICE_CHARACTERS) });
    }
  });
  setHandler(defineSignal<[Watch]>(WATCH_SIGNAL), (watch) => {
    const { run_id, attempt = null } = watch ?? {};
    if (typeof run_id === 'string') addWatcher(life, run_id, typeof attempt === 'number' ? attempt : null);
  });
  setHandler(defineQuery(STATUS_QUERY), () => statusOf(life));
}

/**
 * A start with a definition: for a run, or without the run that it was last started for. What is not at rest keeps the
 * definition that it runs with; a start for a run is refused then.
 */
function startWith(life: Life, spec: AgentInput): void {
  checkSpec(life, spec);
  const { run } = spec;
  const isFree = restOf(life.state) !== undefined && life.proposed === undefined;
  if (run === undefined) {
    if (isFree) life.proposed = spec;
    return void enqueue(life, { kind: 'start' });
  }
  const own = (life.proposed ?? life.input).run;
  const isRepeated = isSameRun(own, run);
  if (!isRepeated && !isFree) {
    const what = own === undefined ? `it is ${life.state.phase.kind}` : `it is in the run ${own.run_id}`;
    throw refusal(`Cannot start ${life.input.agent_id} for the run ${run.run_id}: ${what}`, 'AGENT_BUSY');
  }
  addWatcher(life, run.run_id, run.attempt);
  if (isRepeated) return;
  life.proposed = spec;
  enqueue(life, { kind: 'start' });
}

/**
 * While it is not at rest, a definition must be for the run that it is started for, or for none if it is in none: else its
 * process would be replaced by one without the task, or with that of a run that is over.
 */
function checkRun(life: Life, spec: AgentInput): void {
  const own = (life.proposed ?? life.input).run;
  const isFree = restOf(life.state) !== undefined && life.proposed === undefined;
  if (isFree || isSameRun(own, spec.run)) return;
  const isAboutToStart = life.proposed?.run !== undefined && spec.run === undefined;
  if (!isAboutToStart && !definitionKeepsRun()) return;
  const what = own === undefined ? 'is in no run' : `is in the run ${own.run_id}, attempt ${own.attempt}`;
  throw refusal(`Cannot configure ${life.input.agent_id}: it ${what}, and the spec must say the same`, 'AGENT_BUSY');
}

const isSameRun = (a: AgentInput['run'], b: AgentInput['run']): boolean =>
  a?.run_id === b?.run_id && a?.attempt === b?.attempt;

function checkSpec(life: Life, spec: AgentInput | undefined): asserts spec is AgentInput {
  if (spec?.agent_id !== life.input.agent_id)
    throw refusal(`The spec must be for agent_id ${life.input.agent_id}, got ${String(spec?.agent_id)}`);
  const problem = shapeProblem(spec);
  if (problem !== undefined) throw refusal(`Cannot take the spec: ${problem}`);
}

function command<Name extends CommandName>(life: Life, name: Name, accept: (args: CommandArgs[Name]) => void): void {
  const handle = (args?: CommandArgs[Name]): Accepted => {
    const given = args ?? ({} as CommandArgs[Name]);
    const { once_id } = given;
    const known = life.answered?.find((each) => each.once_id === once_id);
    if (known) return { revision: known.revision };
    accept(given);
    life.accepted += 1;
    life.requestId = requestIdOf(given.request_id);
    const revision = life.accepted;
    if (typeof once_id === 'string') {
      life.answered = [...(life.answered ?? []), { once_id: once_id.slice(0, MAX_ONCE_ID), revision }].slice(-ANSWERED);
    }
    return { revision };
  };
  setHandler(defineUpdate<Accepted, [CommandArgs[Name]?]>(name), handle);
  setHandler(defineSignal<[CommandArgs[Name]?]>(name), (args) => {
    try {
      handle(args);
    } catch {
      // A signal has no answer; an exception here would fail the workflow task for ever.
    }
  });
}

/** The id ends up in the environment of a process: one that cannot stand there would keep the process from starting. */
function requestIdOf(given: unknown): string | null {
  return typeof given === 'string' && given.length <= MAX_REQUEST_ID_CHARACTERS && !given.includes('\0') ? given : null;
}

const enqueue = (life: Life, event: AgentEvent): number => life.queue.push(event);

function graceOf(grace: string | undefined): { graceMs?: number } {
  if (grace === undefined) return {};
  try {
    return { graceMs: parseDurationMs(grace) };
  } catch (error) {
    throw refusal(`Cannot read grace: ${(error as Error).message}`);
  }
}

function signalOf(life: Life, name: string): string {
  if (!isSignalName(name)) throw refusal(`The signal must be one of ${SIGNALS.join(', ')}, got ${String(name)}`);
  const { input, state } = life;
  if (state.phase.kind === 'live') return name;
  const is = publicState(state.phase, state.generation, null);
  throw refusal(`Cannot signal ${input.agent_id}: it is ${is}`, 'AGENT_NOT_RUNNING');
}

/** What is not to run cannot be paused, and a resume must not start what was stopped. */
function checkWanted({ input, state }: Life, verb: 'pause' | 'resume'): void {
  const { desired, phase } = state;
  const hasNothingToPause = phase.kind === 'completed' || phase.kind === 'disabled' || phase.kind === 'closed';
  if ((desired === 'running' || desired === 'paused') && !hasNothingToPause) return;
  const is = hasNothingToPause ? phase.kind : desired;
  throw refusal(`Cannot ${verb} ${input.agent_id}: it is ${is}`, 'AGENT_NOT_RUNNING');
}

/** Fails the update, not the workflow. */
function refusal(message: string, code: ErrorCode = 'INVALID_REQUEST'): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, code);
}
