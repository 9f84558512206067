import type { AgentView } from '../contract/agent-view.ts';
import type { AgentTransition, Roster, RosterRow } from '../ports/roster.ts';

/** What happens to the agents, for those who follow it. */
export type FleetEvent =
  /** An entry of a history; none is left out. */
  | { kind: 'transition'; transition: AgentTransition }
  /** What is shown of an agent has changed; of changes in quick succession, the last. */
  | { kind: 'agent'; agent: AgentView }
  | { kind: 'removed'; agent_id: string };

export interface FollowOptions {
  /** Position in the history from which to go on; by default, from now. */
  after?: number;
  /** Only these agents; none given: all. */
  agentIds?: string[];
}

const PAGE = 200;

/**
 * Follows the roster until `signal` aborts. It is read when the follower takes the next event, so a slow one costs no
 * more memory than there are agents. A reader who resumes gets every agent as it is now, once, after the transitions.
 */
export async function* fleetEvents(
  roster: Roster,
  view: (row: RosterRow) => AgentView,
  { after, agentIds = [] }: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<FleetEvent> {
  const isWanted = (agentId: string): boolean => agentIds.length === 0 || agentIds.includes(agentId);
  const changed = new Map<string, RosterRow | null>();
  let wake: () => void = () => undefined;
  const unsubscribe = roster.subscribe((change) => {
    const agentId = change.kind === 'row' ? change.row.agent_id : change.agent_id;
    if (!isWanted(agentId)) return;
    changed.set(agentId, change.kind === 'row' ? change.row : null);
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  const only = agentIds.length === 1 && agentIds[0] !== undefined ? { agent_id: agentIds[0] } : {};
  try {
    let cursor = after ?? (await roster.latestTransition());
    let isResuming = after !== undefined;
    while (!signal.aborted) {
      // Taken first: the transitions of what has changed by now are in the history.
      const batch = [...changed];
      changed.clear();
      for (let page = PAGE; page === PAGE;) {
        const transitions = await roster.transitions({ after: cursor, limit: PAGE, ...only });
        page = transitions.length;
        for (const transition of transitions) {
          cursor = transition.id;
          if (isWanted(transition.agent_id)) yield { kind: 'transition', transition };
        }
      }
      if (isResuming) {
        isResuming = false;
        for (const row of await roster.list()) if (isWanted(row.agent_id)) yield { kind: 'agent', agent: view(row) };
      }
      for (const [agent_id, row] of batch) {
        yield row === null ? { kind: 'removed', agent_id } : { kind: 'agent', agent: view(row) };
      }
      if (changed.size > 0 || signal.aborted) continue;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    unsubscribe();
    signal.removeEventListener('abort', onAbort);
  }
}
