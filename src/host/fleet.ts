import { setTimeout as delay } from 'node:timers/promises';
import type { Roster, RosterRow } from '../ports/roster.ts';
import type { Resources } from '../domain/limits.ts';
import { isUp } from '../domain/public-state.ts';

const LOOK_MS = 20;

/**
 * The live table of the host: the roster's rows in memory, kept current by its feed. Health and metrics read it, so
 * neither a slow disk nor a lost Temporal stands between a probe and its answer.
 */
export class Fleet {
  private readonly rows = new Map<string, RosterRow>();
  private readonly unsubscribe: () => void;

  private constructor(unsubscribe: (fleet: Fleet) => () => void) {
    this.unsubscribe = unsubscribe(this);
  }

  static async open(roster: Roster): Promise<Fleet> {
    const fleet = new Fleet((self) =>
      roster.subscribe((change) => {
        if (change.kind === 'row') self.rows.set(change.row.agent_id, change.row);
        else self.rows.delete(change.agent_id);
      }),
    );
    for (const row of await roster.list()) {
      if (!fleet.rows.has(row.agent_id)) fleet.rows.set(row.agent_id, row);
    }
    return fleet;
  }

  get(agentId: string): RosterRow | undefined {
    return this.rows.get(agentId);
  }

  all(): RosterRow[] {
    return [...this.rows.values()];
  }

  states(): { agent_id: string; up: boolean; resources: Resources | null }[] {
    return this.all().map(({ agent_id, process }) => ({
      agent_id,
      up: isUp(process),
      resources: (process?.pid != null && process.resources) || null,
    }));
  }

  /** Critical agents that are not up, also before they ever were. */
  criticalDown(): { agent_id: string; reason: string }[] {
    return this.all()
      .filter((row) => row.decision.critical && !isUp(row.process))
      .map((row) => ({ agent_id: row.agent_id, reason: whyDown(row) }));
  }

  /** Waits until the workflows have dealt with the ends of these incarnations, at most `ms`. */
  async untilHandled(ended: { agent_id: string; generation: number }[], ms: number): Promise<void> {
    const isHandled = ({ agent_id, generation }: { agent_id: string; generation: number }): boolean => {
      const row = this.rows.get(agent_id);
      return row === undefined || row.decision.snapshot.handled >= generation;
    };
    for (const end = performance.now() + ms; performance.now() < end && !ended.every(isHandled);) await delay(LOOK_MS);
  }

  close(): void {
    this.unsubscribe();
  }
}

/** What its host has seen counts until it is decided what follows. */
function whyDown({ decision, process }: RosterRow): string {
  if (decision.phase.kind !== 'live' || process?.generation !== decision.generation) return decision.reason;
  const { pid, last_exit: end, health } = process;
  if (pid === null) return end?.generation === decision.generation ? end.reason : decision.reason;
  return health?.reason ?? decision.reason;
}
