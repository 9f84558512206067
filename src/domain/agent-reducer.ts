/**
 * The life of an agent: a pure reducer. Events go in, one at a time; the next state and what is to be done come out.
 *
 * Rules that hold whatever happens (see the property tests):
 * - no incarnation is asked for while an earlier one may live;
 * - the end of a generation is consumed once, whichever way the news comes;
 * - a stop is not followed by a start, unless somebody asks for one.
 */
import type {
  AgentCommand,
  AgentEvent,
  AgentSnapshot,
  AgentState,
  Clock,
  Outcome,
  Rules,
  Step,
} from './agent-state.ts';
import type { Custody, ExitRecord } from './custody.ts';
import { describeBackoff, describeExit, describeRestart } from './reasons.ts';
import { afterRun, decide, judge, NO_FAILURES, opensIncident, withFailure } from './restart-policy.ts';
import { DEFAULT_STOP } from './stop-policy.ts';

/** A new life. The first thing it does is to be admitted. */
export function birth(options: { keepOnFailure: boolean; restore?: AgentSnapshot }): Step {
  const { restore } = options;
  const state: AgentState = {
    phase: { kind: 'admitting' },
    desired: restore?.desired ?? 'running',
    generation: restore?.generation ?? 0,
    handled: restore?.handled ?? 0,
    admission: { number: 1, pending: true },
    rules: null,
    failures: restore?.failures ?? NO_FAILURES,
    episode: restore?.episode ?? { number: 0, incident: false },
    restarts: restore?.restarts ?? 0,
    lastExit: restore?.lastExit ?? null,
    reason: restore?.reason ?? 'created',
    keepOnFailure: options.keepOnFailure || restore !== undefined,
  };
  // An agent that had come to rest stays at rest; the admission only brings its rules back.
  if (!restore || restore.phase === 'other' || restore.desired === 'deleted')
    return { state, commands: [admit(state)] };
  return { state: { ...state, phase: { kind: restore.phase } }, commands: [admit(state)] };
}

/** What must be asked for again after a continue-as-new: everything that was open. */
export function resume(state: AgentState, nowMs: number): AgentCommand[] {
  const commands: AgentCommand[] = state.admission.pending ? [admit(state)] : [];
  switch (state.phase.kind) {
    case 'live':
      return [...commands, { kind: 'run', generation: state.generation }];
    case 'stopping':
      return [...commands, { kind: 'stop', generation: state.generation, stop: stopPolicy(state) }];
    case 'backoff':
      return [...commands, { kind: 'sleep', delayMs: Math.max(0, state.phase.untilMs - nowMs) }];
    default:
      return commands;
  }
}

export function snapshot(state: AgentState): AgentSnapshot {
  const { desired, generation, handled, failures, episode, restarts, lastExit, reason, phase } = state;
  const settled = phase.kind === 'completed' || phase.kind === 'disabled' ? phase.kind : 'other';
  return { desired, generation, handled, failures, episode, restarts, lastExit, reason, phase: settled };
}

export function step(state: AgentState, event: AgentEvent, clock: Clock): Step {
  if (state.phase.kind === 'closed') return stay(state);
  if (state.desired === 'deleted' && isOperators(event)) return stay(state); // a delete is final
  switch (event.kind) {
    case 'admitted':
      return event.admission === state.admission.number
        ? admitted(state, event.rules, event.custody, clock)
        : stay(state);
    case 'refused':
      return event.admission === state.admission.number ? refused(state, event.code, event.message) : stay(state);
    case 'ended':
      return ended(state, event.exit, clock);
    case 'superseded':
      return event.generation === state.generation ? reconcile(state, event.custody, clock) : stay(state);
    case 'reconcile':
      return reconcile(state, event.custody, clock);
    case 'stop-settled':
      return stopSettled(state, event.generation, event.custody, clock);
    case 'spawn-failed':
      return event.generation === state.generation && event.generation > state.handled
        ? spawnFailed(state, event.code, event.message)
        : stay(state);
    case 'template-changed':
      return event.generation === state.generation && state.phase.kind === 'live'
        ? readmit({ ...state, handled: event.generation, phase: { kind: 'admitting' } }, 'its template has changed')
        : stay(state);
    case 'run-lost':
      return event.generation === state.generation && state.phase.kind === 'live'
        ? readmit({ ...state, phase: { kind: 'admitting' } }, 'asking the custodian what became of it')
        : stay(state);
    case 'backoff-elapsed':
      return state.phase.kind === 'backoff' ? run(state, describeRestart(state.lastExit, state.restarts)) : stay(state);
    case 'configure':
      return readmit(state, state.reason);
    case 'start':
      return startCommand(state);
    case 'restart':
      return restartCommand(state);
    case 'stop':
      return stopCommand({ ...state, desired: 'stopped' }, event.graceMs);
    case 'delete':
      return stopCommand({ ...state, desired: 'deleted' }, event.graceMs);
  }
}

// ── admission ───────────────────────────────────────────────────────────────────────────────────────────────────

const admit = (state: AgentState): AgentCommand => ({ kind: 'admit', admission: state.admission.number });

function readmit(state: AgentState, reason: string, before: AgentCommand[] = []): Step {
  const next = { ...state, reason, admission: { number: state.admission.number + 1, pending: true } };
  return { state: next, commands: [...before, admit(next)] };
}

function admitted(before: AgentState, rules: Rules, custody: Custody, clock: Clock): Step {
  const changed = before.rules !== null && before.rules.launchDigest !== rules.launchDigest;
  const state: AgentState = { ...before, rules, admission: { ...before.admission, pending: false } };
  switch (state.phase.kind) {
    case 'admitting': {
      const known = reconcile(state, custody, clock);
      return known.state.phase.kind === 'admitting' ? settle(known.state, known.commands) : known;
    }
    case 'live':
      if (!changed) return reconcile(state, custody, clock);
      return stopProcess({ ...state, ...fresh(state) }, 'restarting: its definition has changed');
    case 'completed':
    case 'disabled':
      if (custody.live || changed) {
        const known = reconcile({ ...state, ...fresh(state) }, custody, clock);
        return known.state.phase.kind === state.phase.kind ? settle(known.state, known.commands) : known;
      }
      return stay(state);
    default:
      return reconcile(state, custody, clock);
  }
}

function refused(state: AgentState, code: string, message: string): Step {
  const next: AgentState = { ...state, admission: { ...state.admission, pending: false } };
  if (state.desired === 'deleted') return close(next, { kind: 'deleted' });
  // A process that runs is not ended by a definition that does not parse.
  if (next.phase.kind === 'live' || next.phase.kind === 'stopping') {
    return stay({ ...next, reason: `keeps its definition: ${message}` });
  }
  return unstartable(next, code, message);
}

function spawnFailed(state: AgentState, code: string, message: string): Step {
  const next: AgentState = { ...state, handled: state.generation };
  if (state.desired !== 'running') return settle(next, []);
  return unstartable(next, code, message);
}

/** It cannot start, and trying again would change nothing. */
function unstartable(state: AgentState, code: string, message: string): Step {
  if (!state.keepOnFailure && state.lastExit === null) return close(state, { kind: 'failed', code, message });
  const reason = `gave up: ${message}`;
  const next: AgentState = { ...state, phase: { kind: 'disabled' }, reason };
  if (state.rules?.restart.onGiveUp === 'fail-stop') return failStop(next, message);
  return withIncident(next, reason, []);
}

// ── ends ────────────────────────────────────────────────────────────────────────────────────────────────────────

function ended(state: AgentState, exit: ExitRecord, clock: Clock): Step {
  if (exit.generation <= state.handled) return stay(state);
  // Before the rules are known nothing can be judged; the admission that is under way brings this exit again.
  if (state.rules === null) return stay(state);
  const next: AgentState = {
    ...state,
    handled: exit.generation,
    generation: Math.max(state.generation, exit.generation),
    lastExit: exit,
    reason: describeExit(exit),
  };
  if (next.desired !== 'running') return settle(next, cancelSleep(state));
  return afterExit(next, state.rules, exit, clock);
}

function afterExit(state: AgentState, rules: Rules, exit: ExitRecord, clock: Clock): Step {
  const policy = rules.restart;
  const judgement = judge(policy, exit);
  const rested = afterRun(state.failures, policy, exit.ran_ms);
  const over = state.episode.number > 0 && state.failures.consecutive > 0 && rested.consecutive === 0;
  const commands = over ? resolveIncident(state, 'the agent has run stably again') : [];
  const episode = over ? { ...state.episode, incident: false } : state.episode;
  const failures = judgement.kind === 'failure' ? withFailure(rested, policy, clock.nowMs) : rested;
  const opened = judgement.kind === 'failure' && failures.consecutive === 1;
  const next: AgentState = {
    ...state,
    failures,
    episode: opened ? { number: episode.number + 1, incident: false } : episode,
  };
  const verdict = decide(policy, judgement, failures, clock.random01);
  switch (verdict.kind) {
    case 'complete':
      return { state: { ...next, phase: { kind: 'completed' } }, commands };
    case 'give-up': {
      const reason = `gave up: ${verdict.why}; ${describeExit(exit)}`;
      const disabled: AgentState = { ...next, phase: { kind: 'disabled' }, reason };
      return verdict.then === 'fail-stop'
        ? failStop(disabled, reason, commands)
        : withIncident(disabled, reason, commands);
    }
    case 'restart': {
      if (judgement.kind === 'excused') return run(next, `started again: ${describeExit(exit)}`, commands);
      const counted = { ...next, restarts: next.restarts + 1 };
      const waiting = backoff(counted, exit, verdict.delayMs, clock);
      const all = [...commands, ...waiting.commands];
      return judgement.kind === 'failure' && opensIncident(policy, failures)
        ? withIncident(waiting.state, `${failures.consecutive} failures in a row; ${describeExit(exit)}`, all)
        : { state: waiting.state, commands: all };
    }
  }
}

function backoff(state: AgentState, exit: ExitRecord, delayMs: number, clock: Clock): Step {
  if (delayMs === 0) return run(state, describeRestart(exit, state.restarts));
  const reason = describeBackoff(exit, state.restarts, delayMs);
  return {
    state: { ...state, phase: { kind: 'backoff', untilMs: clock.nowMs + delayMs }, reason },
    commands: [{ kind: 'sleep', delayMs }],
  };
}

function stopSettled(state: AgentState, generation: number, custody: Custody, clock: Clock): Step {
  const known = reconcile(state, custody, clock);
  const waiting = known.state.phase.kind === 'stopping' && known.state.generation === generation;
  if (!waiting || custody.live) return known;
  // Nothing lives and there is no exit to consume: the incarnation had not started, and the fence keeps it so.
  return settle({ ...known.state, handled: Math.max(known.state.handled, generation) }, known.commands);
}

// ── what the custodian holds ────────────────────────────────────────────────────────────────────────────────────

/**
 * Brings the life in line with what the custodian holds.
 * live → that incarnation is taken over; an end not consumed yet → it is; nothing → the next goes above the fence.
 */
function reconcile(state: AgentState, custody: Custody, clock: Clock): Step {
  const { live, last_exit: exit, fence } = custody;
  if (live && live.generation > state.handled) return adopt(state, live.generation);
  if (live) return stay(state); // old news: the end of that incarnation has been dealt with
  if (exit && exit.generation > state.handled) return ended(state, exit, clock);
  if (state.phase.kind === 'live' && fence >= state.generation) {
    // It was asked for, it is not there, and nobody knows of an end: it will never start. Not the agent's fault.
    return run({ ...state, handled: fence, generation: fence }, `started again: generation ${fence} is superseded`);
  }
  const beyond =
    state.phase.kind === 'live' || state.phase.kind === 'stopping'
      ? state.generation
      : Math.max(state.generation, fence);
  return stay({ ...state, generation: beyond });
}

function adopt(state: AgentState, generation: number): Step {
  const same = generation === state.generation;
  const next: AgentState = { ...state, generation, handled: Math.max(state.handled, generation - 1) };
  if (state.desired !== 'running' || (state.phase.kind === 'stopping' && same)) {
    if (state.phase.kind === 'stopping' && same) return stay(next);
    return stopProcess(next, `stopping generation ${generation}, which should not run`, undefined, cancelSleep(state));
  }
  if (state.phase.kind === 'live' && same) return stay(next);
  return {
    state: { ...next, phase: { kind: 'live' }, reason: `adopted generation ${generation}` },
    commands: [...cancelSleep(state), { kind: 'run', generation }],
  };
}

// ── commands of an operator ─────────────────────────────────────────────────────────────────────────────────────

/** An operator's start or restart forgives: counters and episode begin anew. */
function fresh(state: AgentState): Pick<AgentState, 'desired' | 'failures' | 'restarts' | 'episode'> {
  return {
    desired: 'running',
    failures: NO_FAILURES,
    restarts: 0,
    episode: { number: state.episode.number, incident: false },
  };
}

function startCommand(state: AgentState): Step {
  const next: AgentState = { ...state, desired: 'running' };
  switch (state.phase.kind) {
    case 'live':
    case 'admitting':
    case 'stopping': // starts again once the stop is complete
      return stay(next);
    default:
      return readmitForStart(state, 'started by an operator');
  }
}

function restartCommand(state: AgentState): Step {
  switch (state.phase.kind) {
    case 'live':
      return stopProcess(
        { ...state, ...fresh(state) },
        'restarted by an operator',
        undefined,
        resolveIncident(state, 'restarted by an operator'),
      );
    case 'admitting':
    case 'stopping':
      return stay({ ...state, desired: 'running' });
    default:
      return readmitForStart(state, 'restarted by an operator');
  }
}

function readmitForStart(state: AgentState, reason: string): Step {
  const commands = [...cancelSleep(state), ...resolveIncident(state, reason)];
  return readmit({ ...state, ...fresh(state), phase: { kind: 'admitting' } }, reason, commands);
}

/** `state.desired` is already `stopped` or `deleted`. */
function stopCommand(state: AgentState, graceMs: number | undefined): Step {
  const why = state.desired === 'deleted' ? 'deleted by an operator' : 'stopped by an operator';
  switch (state.phase.kind) {
    case 'live':
      return stopProcess(state, why, graceMs);
    case 'stopping':
      // Only a shorter grace is news to the custodian.
      return graceMs === undefined ? stay(state) : stopProcess(state, why, graceMs);
    case 'admitting':
      return stay({ ...state, reason: why });
    default:
      return settle({ ...state, reason: why }, cancelSleep(state));
  }
}

const isOperators = (event: AgentEvent): boolean =>
  event.kind === 'start' || event.kind === 'stop' || event.kind === 'restart' || event.kind === 'configure';

// ── steps that several share ────────────────────────────────────────────────────────────────────────────────────

const stay = (state: AgentState): Step => ({ state, commands: [] });

const stopPolicy = (state: AgentState) => state.rules?.stop ?? DEFAULT_STOP;

const cancelSleep = (state: AgentState): AgentCommand[] =>
  state.phase.kind === 'backoff' ? [{ kind: 'cancel-sleep' }] : [];

function close(state: AgentState, outcome: Outcome): Step {
  const reason = outcome.kind === 'failed' ? outcome.message : state.reason;
  return { state: { ...state, phase: { kind: 'closed', outcome }, reason }, commands: [] };
}

function run(state: AgentState, reason: string, before: AgentCommand[] = []): Step {
  const generation = Math.max(state.generation, state.handled) + 1;
  return {
    state: { ...state, generation, phase: { kind: 'live' }, reason },
    commands: [...before, { kind: 'run', generation }],
  };
}

function stopProcess(state: AgentState, reason: string, graceMs?: number, before: AgentCommand[] = []): Step {
  const stop = graceMs === undefined ? stopPolicy(state) : { ...stopPolicy(state), graceMs };
  return {
    state: { ...state, phase: { kind: 'stopping' }, reason },
    commands: [...before, { kind: 'stop', generation: state.generation, stop }],
  };
}

/** Nothing lives: the agent goes where it is wanted. */
function settle(state: AgentState, commands: AgentCommand[]): Step {
  switch (state.desired) {
    case 'deleted': {
      const closed = close(state, { kind: 'deleted' });
      return { state: closed.state, commands };
    }
    case 'stopped':
      return { state: { ...state, phase: { kind: 'stopped' } }, commands };
    case 'running':
      return run(state, state.reason, commands);
  }
}

function withIncident(state: AgentState, summary: string, commands: AgentCommand[]): Step {
  const kind = state.episode.incident ? 'update-incident' : 'open-incident';
  const episode = state.episode.incident
    ? state.episode
    : { number: Math.max(1, state.episode.number), incident: true };
  return { state: { ...state, episode }, commands: [...commands, { kind, episode: episode.number, summary }] };
}

function resolveIncident(state: AgentState, summary: string): AgentCommand[] {
  return state.episode.incident ? [{ kind: 'resolve-incident', episode: state.episode.number, summary }] : [];
}

function failStop(state: AgentState, reason: string, commands: AgentCommand[] = []): Step {
  const known = withIncident(state, reason, commands);
  return { state: known.state, commands: [...known.commands, { kind: 'fail-stop', reason }] };
}
