import type { Worker } from '@temporalio/worker';
import { setTimeout as delay } from 'node:timers/promises';

const AGAIN_MS = 1_000;

/** Keeps one Temporal worker running: one that fails (a lost connection, a defect of the SDK) is made anew. */
export class RunningWorker {
  private readonly create: () => Promise<Worker>;
  private readonly onTrouble: (message: string, error: unknown) => void;
  private worker: Worker;
  private ending = false;
  private running: Promise<void> = Promise.resolve();

  constructor(first: Worker, create: () => Promise<Worker>, onTrouble: (message: string, error: unknown) => void) {
    this.worker = first;
    this.create = create;
    this.onTrouble = onTrouble;
  }

  start(): void {
    this.running = this.loop();
  }

  /** Takes no more tasks and waits for those under way; also for a worker that is being made. */
  async stop(): Promise<void> {
    this.ending = true;
    if (this.worker.getState() === 'RUNNING') this.worker.shutdown();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.ending) {
      try {
        await this.worker.run();
        if (!this.ending) throw new Error('it ended by itself');
      } catch (error) {
        if (this.ending) return;
        this.onTrouble('A Temporal worker failed and is made anew', error);
        await delay(AGAIN_MS);
        await this.replace();
      }
    }
  }

  private async replace(): Promise<void> {
    while (!this.ending) {
      try {
        this.worker = await this.create();
        if (this.ending) await discard(this.worker);
        return;
      } catch (error) {
        this.onTrouble('A Temporal worker cannot be made; trying again', error);
        await delay(AGAIN_MS);
      }
    }
  }
}

/** A worker holds its connection until it has run. What it takes in this moment it carries out. */
async function discard(worker: Worker): Promise<void> {
  const running = worker.run();
  worker.shutdown();
  await running;
}
