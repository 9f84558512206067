import { setTimeout as pause } from 'node:timers/promises';
import type { Daemon } from './daemon.ts';
import { DaemonError } from './daemon-error.ts';

/** Where none is owed, a sign of life now and then. */
const UNASKED_MS = 30_000;
const MIN_MS = 100;
const RETRY_MS = 1_000;

export interface Beat {
  /** How far it is: a text or a number. */
  progress?: string | number;
  /** Named numbers, such as `{ tokens: 1200 }`; at most 32. */
  usage?: Record<string, number>;
}

/** Tells the daemon that this process lives, three times as often as it wants to hear. */
export class Heartbeats {
  private readonly daemon: Daemon;
  private readonly path: string;
  private readonly stopping = new AbortController();
  private last: Beat = {};
  private periodMs: number | null = null;

  constructor(daemon: Daemon, agentId: string) {
    this.daemon = daemon;
    this.path = `/agents/${encodeURIComponent(agentId)}/heartbeat`;
  }

  /** At once; what was said is repeated from then on. */
  async beat(beat: Beat = this.last): Promise<void> {
    this.last = { ...this.last, ...beat };
    // A later one says the same: nothing is gained by insisting on this one.
    const answer = await this.daemon.json<{ period_ms: number | null }>('POST', this.path, {
      body: this.last,
      retryForMs: 0,
    });
    this.periodMs = answer.period_ms;
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const isHeard = await this.beat().then(
        () => true,
        (error: unknown) => !(error instanceof DaemonError),
      );
      const nextMs = this.periodMs === null ? UNASKED_MS : Math.max(MIN_MS, this.periodMs / 3);
      const pauseMs = isHeard ? nextMs : Math.min(nextMs, RETRY_MS);
      await pause(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  stop(): void {
    this.stopping.abort();
  }
}
