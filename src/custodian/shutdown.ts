import type { Context } from './context.ts';
import type { Incarnation } from './incarnation.ts';
import { isReserved } from './protocol.ts';
import type { ShutdownParams } from './protocol.ts';

/** The ordered stop of everything: wave after wave, all of one wave at the same time. */
export interface Shutdown {
  /** A second call joins the first; with a shorter grace it shortens, with 0 it forces. */
  run(params: ShutdownParams): Promise<string[]>;
  readonly isActive: boolean;
  /** Spawns are refused from the first call until `lift`. */
  readonly refusesSpawns: boolean;
  /** A new daemon is there: after a completed shutdown spawns are taken again, after a running one once it is done. */
  lift(): void;
}

export type StopOne = (incarnation: Incarnation, graceMs: number) => void;

export function createShutdown({ incarnations, log }: Context, stopOne: StopOne): Shutdown {
  let active: { graceMs: number | undefined; done: Promise<string[]> } | undefined;
  let refusesSpawns = false;
  let isLiftWanted = false;

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

  return {
    run({ waves, grace_ms: graceMs }) {
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
        if (isLiftWanted) refusesSpawns = false;
        log.info('Shut down');
      });
      return state.done;
    },
    get isActive() {
      return active !== undefined;
    },
    get refusesSpawns() {
      return refusesSpawns;
    },
    lift() {
      if (active) isLiftWanted = true;
      else refusesSpawns = false;
    },
  };
}
