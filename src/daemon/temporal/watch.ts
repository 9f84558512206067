import type { Connection } from '@temporalio/client';
import { Periodic } from '../../host/periodic.ts';
import type { TemporalLink } from '../../service/temporal-link.ts';

const PERIOD_MS = 2_000;
const DEADLINE_MS = 2_000;

export interface TemporalWatchOptions {
  connection: Connection;
  /** Awaited before Temporal counts as reachable again, and once more: what was ordered meanwhile goes before any new command. */
  onReturn: () => Promise<void>;
  onChange: (reachable: boolean, error?: unknown) => void;
}

/** Asks Temporal regularly whether it is there. */
export class TemporalWatch implements TemporalLink {
  private readonly options: TemporalWatchOptions;
  private readonly periodic = new Periodic(PERIOD_MS, () => this.look());
  private isReachable = true;

  constructor(options: TemporalWatchOptions) {
    this.options = options;
  }

  reachable(): boolean {
    return this.isReachable;
  }

  start(): void {
    this.periodic.start('later');
  }

  stop(): Promise<void> {
    return this.periodic.stop();
  }

  private async look(): Promise<void> {
    const { connection } = this.options;
    try {
      await connection.withDeadline(Date.now() + DEADLINE_MS, () => connection.workflowService.getSystemInfo({}));
      if (this.isReachable) return;
      await this.options.onReturn();
      this.isReachable = true;
      this.options.onChange(true);
      await this.options.onReturn(); // and what was ordered in between
    } catch (error) {
      if (!this.isReachable || this.periodic.signal.aborted) return;
      this.isReachable = false;
      this.options.onChange(false, error);
    }
  }
}
