import { isAtRest } from '../domain/agent-state.ts';
import { publicState } from '../domain/public-state.ts';
import type { RosterRow } from '../ports/roster.ts';
import type { Seen } from './agent-watch.ts';

export type WaitedVerb = 'start' | 'stop' | 'restart' | 'pause' | 'resume' | 'delete';

export interface Asked {
  verb: WaitedVerb;
  /** The command that was accepted. */
  revision: number;
  /** The generation before it. */
  generation: number;
  /** Whether a process counts only once it is ready. */
  ready?: boolean;
}

/**
 * - `settled`: what was asked for has come about
 * - `overtaken`: it will not, since somebody has asked for something else meanwhile
 * - `gone`: the agent has been deleted
 */
export type Settlement = 'settled' | 'overtaken' | 'gone';

/** What has become of a command; undefined while it is under way. */
export function settlementOf(asked: Asked, { row }: Seen): Settlement | undefined {
  if (row === undefined) return asked.verb === 'delete' ? 'settled' : 'gone';
  const { decision } = row;
  if (decision.revision < asked.revision) return undefined;
  if (decision.desired !== DESIRED[asked.verb]) return 'overtaken';
  return isReached(asked, row) ? 'settled' : undefined;
}

const DESIRED = {
  start: 'running',
  stop: 'stopped',
  restart: 'running',
  pause: 'paused',
  resume: 'running',
  delete: 'deleted',
} as const;

function isReached({ verb, generation, ready = false }: Asked, row: RosterRow): boolean {
  const { phase } = row.decision;
  switch (verb) {
    case 'stop':
      return isAtRest(phase);
    case 'start':
    case 'resume':
      return isRunning(row, ready) || phase.kind === 'completed' || phase.kind === 'disabled';
    case 'pause':
      return (
        phase.kind === 'paused' && (row.process === null || row.process.pid === null || row.process.paused === true)
      );
    case 'restart':
      if (phase.kind === 'disabled') return true;
      return row.decision.generation > generation && (isRunning(row, ready) || phase.kind === 'completed');
    case 'delete':
      return false; // then there is no row
  }
}

/** True once the process that was asked for lives; if it must be `ready`, once it is. */
export function isRunning({ decision, process }: RosterRow, ready = false): boolean {
  const state = publicState(decision.phase, decision.generation, process);
  return state === 'running' || (state === 'unready' && !ready);
}
