import type { Decision } from '../contract/decision.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import { Watch } from './watch.ts';

/** What the roster holds of an agent. Without a row, `closing` is the decision that took it out, if one was seen. */
export interface Seen {
  row: RosterRow | undefined;
  closing: Decision | undefined;
}

export type AgentWatch = Watch<Seen>;

/** Follows one agent in the roster. */
export const watchAgent = (roster: Roster, agentId: string): Promise<AgentWatch> =>
  Watch.open<Seen>({
    subscribe: (tell) =>
      roster.subscribe((change) => {
        if (change.kind === 'row' && change.row.agent_id === agentId) tell({ row: change.row, closing: undefined });
        if (change.kind === 'removed' && change.agent_id === agentId) tell({ row: undefined, closing: change.closing });
      }),
    read: async () => ({ row: await roster.get(agentId), closing: undefined }),
  });
