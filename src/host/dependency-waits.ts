import type { Dependencies } from '../domain/dependencies.ts';
import { areMet } from '../domain/dependencies.ts';
import { publicState, type PublicState } from '../domain/public-state.ts';
import { waitActivityId } from '../contract/names.ts';
import type { Roster } from '../ports/roster.ts';
import type { Doorbell } from './doorbell.ts';
import type { Fleet } from './fleet.ts';

/** Well within the heartbeat time-out of `awaitDependencies` (10 min): so late it is found out that nobody waits any more. */
const BEAT_MS = 60_000;

interface Waiting {
  agentId: string;
  activityId: string;
  dependencies: Dependencies;
}

export interface DependencyWaitsOptions {
  fleet: Pick<Fleet, 'get'>;
  roster: Pick<Roster, 'subscribe'>;
  doorbell: Pick<Doorbell, 'ringWait' | 'beatWait'>;
}

/** The agents that wait for others: looks at each change of the roster, holds no slot of a worker. */
export class DependencyWaits {
  private readonly options: DependencyWaitsOptions;
  private readonly waiting = new Map<string, Waiting>();
  private readonly unsubscribe: () => void;
  private readonly beats: NodeJS.Timeout;

  constructor(options: DependencyWaitsOptions) {
    this.options = options;
    // After the fleet, which has subscribed before: it knows of the change by now.
    this.unsubscribe = options.roster.subscribe(() => this.look());
    this.beats = setInterval(() => void this.beat(), BEAT_MS).unref();
  }

  /** @returns true if all is there; else the activity is completed when it is */
  wait(agentId: string, wait: number, dependencies: Dependencies): boolean {
    if (this.isMet(dependencies)) return true;
    const activityId = waitActivityId(wait);
    this.waiting.set(`${agentId}#${activityId}`, { agentId, activityId, dependencies });
    return false;
  }

  has(agentId: string, activityId: string): boolean {
    return this.waiting.has(`${agentId}#${activityId}`);
  }

  close(): void {
    this.unsubscribe();
    clearInterval(this.beats);
    this.waiting.clear();
  }

  private look(): void {
    for (const [key, { agentId, activityId, dependencies }] of this.waiting) {
      if (!this.isMet(dependencies)) continue;
      this.waiting.delete(key);
      void this.options.doorbell.ringWait(agentId, activityId);
    }
  }

  private isMet(dependencies: Dependencies): boolean {
    return areMet(dependencies, (agentId): PublicState | undefined => {
      const row = this.options.fleet.get(agentId);
      return row && publicState(row.decision.phase, row.decision.generation, row.process);
    });
  }

  private async beat(): Promise<void> {
    for (const [key, { agentId, activityId }] of this.waiting) {
      if (!(await this.options.doorbell.beatWait(agentId, activityId))) this.waiting.delete(key);
    }
  }
}
