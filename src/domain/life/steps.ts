/** The steps that several events share. */
import type { AgentEffect, AgentState, FailStop, Outcome, Rules, Step, StopOrder } from '../agent-state.ts';
import type { Clock } from '../clock.ts';
import { describeDependencies } from '../dependencies.ts';
import type { Trouble } from '../incidents/agent-trouble.ts';
import { NO_FAILURES } from '../restart-policy.ts';
import { DEFAULT_STOP, type StopPolicy } from '../stop-policy.ts';

export const admit = (state: AgentState): AgentEffect => ({ kind: 'admit', admission: state.admission.number });

export function readmit(state: AgentState, reason: string, before: AgentEffect[] = []): Step {
  const next = { ...state, reason, admission: { number: state.admission.number + 1, pending: true } };
  return { state: next, effects: [...before, admit(next)] };
}

export const stay = (state: AgentState): Step => ({ state, effects: [] });

export const stopPolicy = (state: AgentState): StopPolicy => state.rules?.stop ?? DEFAULT_STOP;

/** True if the latest incarnation may live: its end has not been dealt with. */
export const mayLive = ({ handled, generation }: AgentState): boolean => handled < generation;

/** Nothing up to this generation lives, or ever will: its end is dealt with. */
export const closeGeneration = (state: AgentState, generation = state.generation): AgentState => ({
  ...state,
  generation: Math.max(state.generation, generation),
  handled: generation,
});

/** What is wanted of an agent that has come to rest by itself. After a run nothing is, whatever changes in its definition. */
export const restingDesire = (rules: Rules | null): AgentState['desired'] => (rules?.finite ? 'stopped' : 'running');

/** True if nothing of the agent is wanted any more: no end is judged then, and nothing is started. */
export const isToEnd = (state: AgentState): boolean => state.desired === 'stopped' || state.desired === 'deleted';

/** What goes before leaving a phase in which something is waited for. */
export function cancelWait({ phase }: AgentState): AgentEffect[] {
  if (phase.kind === 'backoff') return [{ kind: 'cancel-sleep' }];
  return phase.kind === 'waiting' ? [{ kind: 'cancel-await' }] : [];
}

export function close(state: AgentState, outcome: Outcome): Step {
  const reason = outcome.kind === 'failed' ? outcome.message : state.reason;
  return { state: { ...state, phase: { kind: 'closed', outcome }, reason }, effects: [] };
}

/** Starts the next incarnation. */
export function startNow(state: AgentState, reason: string, before: AgentEffect[] = []): Step {
  const generation = state.generation + 1;
  return {
    state: { ...state, generation, phase: { kind: 'live' }, reason },
    effects: [...before, { kind: 'run', generation }],
  };
}

/** Starts the next incarnation as soon as all that it depends on is there. */
export function startWhenReady(state: AgentState, reason: string, before: AgentEffect[] = []): Step {
  const dependencies = state.rules?.dependencies ?? {};
  if (Object.keys(dependencies).length === 0) return startNow(state, reason, before);
  const wait = (state.waits ?? 0) + 1;
  const phase = { kind: 'waiting', wait } as const;
  return {
    // What was asked for and never started never will be.
    state: { ...closeGeneration(state), waits: wait, phase, reason: describeDependencies(dependencies) },
    effects: [...before, { kind: 'await', wait, dependencies }],
  };
}

export function stopProcess(
  state: AgentState,
  reason: string,
  order: StopOrder = ordered(state),
  before: AgentEffect[] = [],
): Step {
  return {
    state: { ...state, phase: { kind: 'stopping', order }, reason },
    effects: [...before, { kind: 'stop', generation: state.generation, ...order }],
  };
}

/** A stop that an operator, or the change of a definition, has asked for. */
export function ordered(state: AgentState, graceMs?: number): StopOrder {
  const stop = graceMs === undefined ? stopPolicy(state) : { ...stopPolicy(state), graceMs };
  return { stop, cause: 'operator' };
}

/** Nothing lives: the agent goes to where it is wanted. */
export function followDesired(state: AgentState, effects: AgentEffect[]): Step {
  switch (state.desired) {
    case 'deleted': {
      const closed = close(state, { kind: 'deleted' });
      return { state: closed.state, effects };
    }
    case 'stopped':
      return { state: { ...state, phase: { kind: 'stopped' } }, effects };
    case 'paused':
      // What was asked for and never started never will be.
      return { state: { ...closeGeneration(state), phase: { kind: 'paused' } }, effects };
    case 'running':
      return startWhenReady(state, state.reason, effects);
  }
}

export function withIncident(state: AgentState, summary: string, trouble: Trouble, effects: AgentEffect[]): Step {
  const kind = state.episode.incident ? 'update-incident' : 'open-incident';
  const episode = state.episode.incident
    ? state.episode
    : { number: Math.max(1, state.episode.number), incident: true };
  return { state: { ...state, episode }, effects: [...effects, { kind, episode: episode.number, summary, trouble }] };
}

/** The failing episode is over. */
export function resolveIncident(state: AgentState, summary: string): AgentEffect[] {
  return state.episode.incident ? [{ kind: 'resolve-incident', episode: state.episode.number, summary }] : [];
}

/** Tells people that what they were notified of is over; goes with `clearNotices` and `resetCounters`. */
export function resolveNotices(state: AgentState, summary: string): AgentEffect[] {
  return [...resolveIncident(state, summary), ...(state.overLimit ? [{ kind: 'notice-over', summary } as const] : [])];
}

export function failStop(
  state: AgentState,
  reason: string,
  trouble: Trouble,
  effects: AgentEffect[],
  clock: Clock,
): Step {
  const known = withIncident(state, reason, trouble, effects);
  const decided: FailStop = { reason, decidedAtMs: clock.nowMs };
  return { state: { ...known.state, failStop: decided }, effects: [...known.effects, failStopEffect(decided)] };
}

export const failStopEffect = (decided: FailStop): AgentEffect => ({ kind: 'fail-stop', ...decided });

export function failStopped(state: AgentState, decidedAtMs: number): Step {
  if (state.failStop?.decidedAtMs !== decidedAtMs) return stay(state);
  const { failStop: _done, ...rest } = state;
  return stay(rest);
}

/** An operator's start or restart, and a new definition, forgive: counters and episode start again. */
export const resetCounters = (state: AgentState): AgentState => ({
  ...clearNotices(state),
  failures: NO_FAILURES,
  restarts: 0,
});

/** What people were notified of is over; `resolveNotices` tells them so. */
export const clearNotices = (state: AgentState): AgentState => ({
  ...state,
  episode: { number: state.episode.number, incident: false },
  overLimit: null,
});

/** Stops the process, so that one of the new definition takes its place. */
export function replaceProcess(state: AgentState): Step {
  const why = 'its definition has changed';
  return stopProcess(
    { ...resetCounters(state), desired: 'running' },
    `restarting: ${why}`,
    ordered(state),
    resolveNotices(state, why),
  );
}
