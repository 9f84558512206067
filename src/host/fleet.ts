import { setTimeout as delay } from 'node:timers/promises';
import type { Decision } from '../contract/decision.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import type { Resources } from '../domain/limits.ts';
import { isUp } from '../domain/public-state.ts';
import type { RestartPolicy } from '../domain/restart-policy.ts';

const LOOK_MS = 20;

/**
 * The live table of the host: the roster's rows in memory, kept current by its feed. Health and metrics read it, so
 * neither a slow disk nor a lost Temporal stands between a probe and its answer.
 */
export class Fleet {
  private readonly rows = new Map<string, RosterRow>();
  /** Critical agents that are about to be made. */
  private readonly expected = new Set<string>();
  private readonly faultDomains: () => Record<string, RestartPolicy>;
  private readonly unsubscribe: () => void;

  private constructor(roster: Roster, faultDomains: () => Record<string, RestartPolicy>) {
    this.faultDomains = faultDomains;
    this.unsubscribe = roster.subscribe((change) => {
      if (change.kind === 'row') this.take(change.row);
      else this.rows.delete(change.agent_id);
    });
  }

  /** @param faultDomains those that count at the moment */
  static async open(roster: Roster, faultDomains: () => Record<string, RestartPolicy>): Promise<Fleet> {
    const fleet = new Fleet(roster, faultDomains);
    for (const row of await roster.list()) {
      if (!fleet.rows.has(row.agent_id)) fleet.take(row);
    }
    return fleet;
  }

  /** These are critical and will be made: until there is something of them to see, they are not up. */
  expectCritical(agentIds: string[]): void {
    for (const agentId of agentIds) if (!this.rows.has(agentId)) this.expected.add(agentId);
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
    const down = this.all()
      .filter((row) => this.isCritical(row.decision) && !isUp(row.process))
      .map((row) => ({ agent_id: row.agent_id, reason: whyDown(row) }));
    return [...down, ...[...this.expected].map((agent_id) => ({ agent_id, reason: 'not started yet' }))];
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

  private take(row: RosterRow): void {
    this.rows.set(row.agent_id, row);
    this.expected.delete(row.agent_id);
  }

  /** What was never admitted, as without its template, has no policy of its own: what it asks for says what it is. */
  private isCritical({ critical, checks, input, fault_domain: name }: Decision): boolean {
    if (critical || checks !== undefined || input.run !== undefined) return critical;
    const domains = this.faultDomains();
    return Object.hasOwn(domains, name) && domains[name]?.onGiveUp === 'fail-stop';
  }
}

/** What its host has seen counts until it is decided what follows. */
function whyDown({ decision, process }: RosterRow): string {
  if (decision.phase.kind !== 'live' || process?.generation !== decision.generation) return decision.reason;
  const { pid, last_exit: end, health } = process;
  if (pid === null) return end?.generation === decision.generation ? end.reason : decision.reason;
  return health?.reason ?? decision.reason;
}
