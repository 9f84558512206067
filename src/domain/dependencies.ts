/** What an agent waits for before it is started, and in which order agents are stopped. */
import type { PublicState } from './public-state.ts';

/**
 * `started`: it has a process. `ready`: that process is ready (without a readiness check it is at once). `completed`: it has
 * ended as a success. The words of Docker Compose, but for their prefixes.
 */
export const DEPENDENCY_CONDITIONS = ['started', 'ready', 'completed'] as const;
export type DependencyCondition = (typeof DEPENDENCY_CONDITIONS)[number];

/** By the agent that is depended on. */
export type Dependencies = Readonly<Record<string, DependencyCondition>>;

const MET_BY: Record<DependencyCondition, readonly PublicState[]> = {
  started: ['running', 'unready', 'paused', 'completed'],
  ready: ['running', 'completed'],
  completed: ['completed'],
};

export function areMet(dependencies: Dependencies, stateOf: (agentId: string) => PublicState | undefined): boolean {
  return Object.entries(dependencies).every(([agentId, condition]) => {
    const state = stateOf(agentId);
    return state !== undefined && MET_BY[condition].includes(state);
  });
}

/** A sentence, such as `waiting for config to be started and message_store to be ready`. */
export function describeDependencies(dependencies: Dependencies): string {
  const each = Object.entries(dependencies).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `waiting for ${each.map(([agentId, condition]) => `${agentId} to be ${condition}`).join(' and ')}`;
}

/**
 * Groups agents for a stop: those of one wave are stopped together, and none is stopped before all that depend on it are
 * gone, even if what lies between the two is not there any more. Agents of a cycle come in the last wave, together.
 */
export function stopWaves(
  agentIds: readonly string[],
  dependenciesOf: (agentId: string) => readonly string[],
): string[][] {
  const waves: string[][] = [];
  let left = new Set(agentIds);
  while (left.size > 0) {
    const needed = neededBy(left, dependenciesOf);
    const free = [...left].filter((agentId) => !needed.has(agentId));
    const wave = free.length > 0 ? free : [...left];
    waves.push(wave.toSorted());
    left = new Set([...left].filter((agentId) => !wave.includes(agentId)));
  }
  return waves;
}

/** Directly or not. */
function neededBy(agentIds: Iterable<string>, dependenciesOf: (agentId: string) => readonly string[]): Set<string> {
  const needed = new Set<string>();
  const open = [...agentIds];
  for (const agentId of open) {
    const more = dependenciesOf(agentId).filter((next) => !needed.has(next));
    for (const next of more) needed.add(next);
    open.push(...more);
  }
  return needed;
}

/** A cycle, as the ids along it with the first one again at the end; undefined if there is none. */
export function dependencyCycle(dependenciesOf: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (agentId: string, path: readonly string[]): string[] | undefined => {
    const start = path.indexOf(agentId);
    if (start >= 0) return [...path.slice(start), agentId];
    if (done.has(agentId)) return undefined;
    for (const next of dependenciesOf.get(agentId) ?? []) {
      const cycle = visit(next, [...path, agentId]);
      if (cycle !== undefined) return cycle;
    }
    done.add(agentId);
    return undefined;
  };
  for (const agentId of dependenciesOf.keys()) {
    const cycle = visit(agentId, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
