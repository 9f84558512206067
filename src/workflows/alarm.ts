import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

/** At most one timer: set anew only when its time changes, since each is two events in the history. */
export class Alarm {
  private readonly ring: () => void;
  private atMs: number | null = null;
  private scope: CancellationScope | undefined;

  constructor(ring: () => void) {
    this.ring = ring;
  }

  /** @param summary what is waited for, for whoever reads the history */
  set(atMs: number | null, summary: string): void {
    if (atMs === this.atMs) return;
    this.scope?.cancel();
    this.scope = undefined;
    this.atMs = atMs;
    if (atMs !== null) void this.wait(atMs, summary);
  }

  private async wait(atMs: number, summary: string): Promise<void> {
    const scope = new CancellationScope();
    this.scope = scope;
    try {
      await scope.run(() => sleep(Math.max(1, atMs - Date.now()), { summary }));
    } catch (error) {
      if (isCancellation(error)) return;
      throw error;
    }
    // What is due may be due again at the same time.
    this.atMs = null;
    this.ring();
  }
}
