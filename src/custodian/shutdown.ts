import type { Context } from './context.ts';
import type { Incarnation } from './incarnation.ts';
import { isReserved } from './protocol.ts';
import type { ShutdownParams } from './protocol.ts';

/** The ordered stop of everything: wave after wave, all of one wave at the same time. */
export interface Shutdown {
  /** A second call joins the first; with a shorter grace it shortens, with 0 it forces. */
  run(params: ShutdownParams): Promise<string[]>;
  /** The same before the custodian itself ends: nothing lifts it, and in the end reserved children do not start either. */
  runLast(params: ShutdownParams): Promise<void>;
  readonly isActive: boolean;
  /** Spawns of agents are refused from the first call until `lift`. */
  refuses(agent: string): boolean;
  /** A new daemon is there: after a completed shutdown spawns are taken again, after a running one once it is done. */
  lift(): void;
}

export type StopOne = (incarnation: Incarnation, graceMs: number) => void;

export function createShutdown({ incarnations, log }: Context, stopOne: StopOne): Shutdown {
  let active: { graceMs: number | undefined; done: Promise<string[]> } | undefined;
  let refusesSpawns = false;
  let isLiftWanted = false;
  let isLast = false;
  let refusesAll = false;

  const graceOf = ({ record }: Incarnation) => active?.graceMs ?? record.stop.grace_ms;
  const agentsNow = () => [...incarnations.values()].filter((incarnation) => !isReserved(incarnation.agent));

  /** The waves as they are now: nothing is started any more, so nobody can come in late. */
  const membersOf = (waves: string[][]): Incarnation[][] => {
    const waiting = new Map(agentsNow().map((incarnation) => [incarnation.agent, incarnation]));
    const take = (agent: string) => {
      const incarnation = waiting.get(agent);
      waiting.delete(agent);
      return incarnation ?? [];
    };
    const ordered = waves.map((wave) => wave.flatMap(take));
    const last = ordered.pop() ?? [];
    return [...ordered, [...last, ...waiting.values()]];
  };

  const run = async (waves: Incarnation[][]) => {
    for (const wave of waves) {
      for (const incarnation of wave) {
        if (incarnations.get(incarnation.agent) === incarnation) stopOne(incarnation, graceOf(incarnation));
      }
      await Promise.all(wave.map((incarnation) => incarnation.gone));
    }
    return waves.flat().map((incarnation) => incarnation.agent);
  };

  const begin = ({ waves, grace_ms: graceMs }: ShutdownParams): Promise<string[]> => {
    if (active) {
      if (graceMs !== undefined && graceMs < (active.graceMs ?? Infinity)) {
        active.graceMs = graceMs;
        for (const incarnation of agentsNow()) {
          // What waits for its wave keeps its place, unless the whole shutdown is forced.
          if (incarnation.stopping || graceMs === 0) stopOne(incarnation, graceMs);
        }
      }
      return active.done;
    }
    refusesSpawns = true;
    isLiftWanted = false;
    log.info('Shutting down', { waves, grace_ms: graceMs, agents: agentsNow().length });
    const state = { graceMs, done: Promise.resolve<string[]>([]) };
    active = state;
    state.done = run(membersOf(waves)).finally(() => {
      active = undefined;
      if (isLiftWanted && !isLast) refusesSpawns = false;
      log.info('Shut down');
    });
    return state.done;
  };

  return {
    run: begin,
    async runLast(params) {
      isLast = true;
      await begin(params);
      refusesAll = true;
    },
    get isActive() {
      return active !== undefined;
    },
    refuses: (agent) => refusesAll || (refusesSpawns && !isReserved(agent)),
    lift() {
      if (isLast) return;
      if (active) isLiftWanted = true;
      else refusesSpawns = false;
    },
  };
}
