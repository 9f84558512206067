/** How long after the start the first beat comes: a process that dies at once is not worth one. */
const FIRST_MS = 500;
/** Well within the heartbeat time-out of `runProcess` (10 min). */
const PERIOD_MS = 240_000;

/** The slow heartbeat of every live incarnation, spread so that a fleet does not beat at once. */
export class Beats {
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly beat: (agentId: string) => void;

  constructor(beat: (agentId: string) => void) {
    this.beat = beat;
  }

  start(agentId: string): void {
    this.stop(agentId);
    this.schedule(agentId, FIRST_MS);
  }

  stop(agentId: string): void {
    clearTimeout(this.timers.get(agentId));
    this.timers.delete(agentId);
  }

  stopAll(): void {
    for (const agentId of this.timers.keys()) this.stop(agentId);
  }

  private schedule(agentId: string, ms: number): void {
    const timer = setTimeout(
      () => {
        this.schedule(agentId, PERIOD_MS);
        this.beat(agentId);
      },
      ms * (0.9 + Math.random() * 0.2),
    );
    timer.unref();
    this.timers.set(agentId, timer);
  }
}
