/**
 * The life of an agent: a pure reducer. Events go in, one at a time; the next state and what is to be done come out.
 *
 * Rules that hold whatever happens (see the property tests):
 * - no incarnation is asked for while an earlier one may live;
 * - the end of a generation is consumed once, whichever way the news comes;
 * - a stop is not followed by a start, unless somebody asks for one;
 * - while it is to be paused, no new incarnation is asked for.
 */
import type { AgentEffect, AgentEvent, AgentSnapshot, AgentState, Step } from './agent-state.ts';
import type { Clock } from './clock.ts';
import { admitted, refused, spawnFailed } from './life/admission.ts';
import { ended } from './life/ends.ts';
import { isOperators, restartCommand, startCommand, stopCommand } from './life/operator-commands.ts';
import { pauseCommand, resumeCommand } from './life/pause.ts';
import { custodyHinted, held, reconcile, stopSettled } from './life/reconcile.ts';
import {
  closeGeneration,
  failStopEffect,
  failStopped,
  mayLive,
  ordered,
  readmit,
  startNow,
  stay,
} from './life/steps.ts';
import { noticed, verdict } from './life/verdicts.ts';
import { describeRestart } from './reasons.ts';
import { NO_FAILURES } from './restart-policy.ts';

/** A new life. The first thing it does is to be admitted. */
export function birth(options: { keepOnFailure: boolean; restore?: AgentSnapshot }): Step {
  const { restore } = options;
  const state: AgentState = {
    phase: { kind: 'admitting' },
    desired: restore?.desired ?? 'running',
    generation: restore?.generation ?? 0,
    handled: restore?.handled ?? 0,
    admission: { number: 1, pending: true },
    ...(restore ? {} : { unasked: true as const }),
    rules: null,
    failures: restore?.failures ?? NO_FAILURES,
    episode: restore?.episode ?? { number: 0, incident: false },
    restarts: restore?.restarts ?? 0,
    lastExit: restore?.lastExit ?? null,
    ...(restore?.failStop && { failStop: restore.failStop }),
    reason: restore?.reason ?? 'created',
    keepOnFailure: options.keepOnFailure || restore !== undefined,
    ...(restore?.overLimit ? { overLimit: restore.overLimit } : {}),
  };
  const effects = openEffects(state);
  // An agent that had come to rest stays at rest; the admission only brings its rules back.
  if (!restore || restore.phase === 'other' || restore.desired === 'deleted') return { state, effects };
  return { state: { ...state, phase: { kind: restore.phase } }, effects };
}

/** What must be asked for again after a continue-as-new: everything that was open. */
export function resume(state: AgentState, nowMs: number): AgentEffect[] {
  const effects = openEffects(state);
  switch (state.phase.kind) {
    case 'live':
      return [...effects, { kind: 'run', generation: state.generation }];
    case 'stopping':
      return [...effects, { kind: 'stop', generation: state.generation, ...(state.phase.order ?? ordered(state)) }];
    case 'paused':
      return mayLive(state) ? [...effects, { kind: 'run', generation: state.generation }] : effects;
    case 'backoff':
      return [...effects, { kind: 'sleep', delayMs: Math.max(0, state.phase.untilMs - nowMs) }];
    case 'waiting':
      return [...effects, { kind: 'await', wait: state.phase.wait, dependencies: state.rules?.dependencies ?? {} }];
    default:
      return effects;
  }
}

/** What is open whatever the phase. */
function openEffects({ admission, failStop }: AgentState): AgentEffect[] {
  return [
    ...(admission.pending ? [{ kind: 'admit', admission: admission.number } as const] : []),
    ...(failStop ? [failStopEffect(failStop)] : []),
  ];
}

export function snapshot(state: AgentState): AgentSnapshot {
  const { desired, generation, handled, failures, episode, restarts, lastExit, failStop, reason, phase } = state;
  const settled = phase.kind === 'completed' || phase.kind === 'disabled' ? phase.kind : 'other';
  const told = { ...(state.overLimit && { overLimit: state.overLimit }), ...(failStop && { failStop }) };
  return { desired, generation, handled, failures, episode, restarts, lastExit, reason, phase: settled, ...told };
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
      return event.admission === state.admission.number ? refused(state, event, event.custody, clock) : stay(state);
    case 'ended':
      return ended(state, event.exit, clock);
    case 'superseded':
      return event.generation === state.generation ? reconcile(state, event.custody, clock) : stay(state);
    case 'custody-hinted':
      return custodyHinted(state, event);
    case 'custody-answered':
      return reconcile(state, event.custody, clock, event.handledBefore);
    case 'stop-settled':
      return stopSettled(state, event.generation, event.custody, clock);
    case 'spawn-failed':
      return event.generation === state.generation && event.generation > state.handled
        ? spawnFailed(state, event, clock)
        : stay(state);
    case 'template-changed':
      return event.generation === state.generation && isWatched(state)
        ? readmit({ ...closeGeneration(state), phase: { kind: 'admitting' } }, 'its template has changed')
        : stay(state);
    case 'held':
      return held(state, event.custody, clock);
    case 'unhealthy':
    case 'over-limit':
      return verdict(state, event);
    case 'noticed':
      return noticed(state, event);
    case 'run-lost':
      return event.generation === state.generation && isWatched(state)
        ? readmit({ ...state, phase: { kind: 'admitting' } }, 'asking the custodian what became of it')
        : stay(state);
    case 'backoff-elapsed':
      return state.phase.kind === 'backoff'
        ? startNow(state, describeRestart(state.lastExit, state.restarts))
        : stay(state);
    case 'dependencies-met':
      return state.phase.kind === 'waiting' && state.phase.wait === event.wait
        ? startNow(state, 'started: what it depends on is there')
        : stay(state);
    case 'configure':
      return readmit(state, state.reason);
    case 'fail-stopped':
      return failStopped(state, event.decidedAtMs);
    case 'start':
      return startCommand(state);
    case 'restart':
      return restartCommand(state);
    case 'pause':
      return pauseCommand(state);
    case 'resume':
      return resumeCommand(state);
    case 'stop':
      return stopCommand({ ...state, desired: 'stopped' }, event.graceMs);
    case 'delete':
      return stopCommand({ ...state, desired: 'deleted' }, event.graceMs);
  }
}

/** True while a `runProcess` of the latest incarnation is open, or should be. */
const isWatched = (state: AgentState): boolean =>
  state.phase.kind === 'live' || (state.phase.kind === 'paused' && mayLive(state));
