import { setTimeout as pause } from 'node:timers/promises';
import { isPassing, type Daemon } from './daemon.ts';

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

/** Numbered, because an answer to an earlier one may be the later to come. */
interface Said {
  number: number;
  beat: Beat;
}

/** Tells the daemon that this process lives, three times as often as it wants to hear. */
export class Heartbeats {
  private readonly daemon: Daemon;
  private readonly path: string;
  private readonly stopping = new AbortController();
  private readonly log: (line: string) => void;
  /** What is repeated. */
  private said: Said = { number: 0, beat: {} };
  /** What the daemon has taken: of what it refuses nothing is repeated, or no later one would be heard. */
  private heard = this.said;
  private periodMs: number | null = null;

  constructor(daemon: Daemon, agentId: string, log: (line: string) => void) {
    this.daemon = daemon;
    this.log = log;
    this.path = `/agents/${encodeURIComponent(agentId)}/heartbeat`;
  }

  /** At once; what was said is repeated from then on, unless the daemon refuses it. */
  async beat(beat?: Beat): Promise<void> {
    if (beat !== undefined) this.said = { number: this.said.number + 1, beat: { ...this.said.beat, ...beat } };
    const { said } = this;
    try {
      // A later one says the same: nothing is gained by insisting on this one.
      const options = { body: said.beat, retryForMs: 0 };
      const answer = await this.daemon.json<{ period_ms: number | null }>('POST', this.path, options);
      if (said.number > this.heard.number) this.heard = said;
      this.periodMs = answer.period_ms;
    } catch (error) {
      // What was said meanwhile has an answer of its own.
      if (!isPassing(error) && this.said === said) this.said = this.heard;
      throw error;
    }
  }

  /** Until `stop`. */
  async run(): Promise<void> {
    const { signal } = this.stopping;
    let isRefused = false;
    while (!signal.aborted) {
      let pauseMs = RETRY_MS;
      try {
        await this.beat();
        isRefused = false;
        pauseMs = UNASKED_MS;
      } catch (error) {
        if (!isPassing(error) && !isRefused && !signal.aborted) {
          isRefused = true;
          this.log(`its heartbeat is not taken, and it tries again: ${(error as Error).message}`);
        }
      }
      const nextMs = this.periodMs === null ? UNASKED_MS : Math.max(MIN_MS, this.periodMs / 3);
      await pause(Math.min(pauseMs, nextMs), undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  stop(): void {
    this.stopping.abort();
  }
}
