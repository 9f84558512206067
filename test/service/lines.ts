import type { LogSource } from '../../src/ports/log-source.ts';

/** The logs of agents, in memory. */
export class Lines implements LogSource {
  readonly purged: string[] = [];
  readonly #lines = new Map<string, string[]>();
  readonly #readers = new Set<() => void>();

  write(agentId: string, ...lines: string[]): void {
    this.#lines.set(agentId, [...(this.#lines.get(agentId) ?? []), ...lines]);
    for (const wake of this.#readers) wake();
  }

  async tail(agentId: string, { lines }: { lines: number }): Promise<string[]> {
    return lines === 0 ? [] : (this.#lines.get(agentId) ?? []).slice(-lines);
  }

  async *follow(agentId: string, signal: AbortSignal): AsyncGenerator<string> {
    for (let position = this.#lines.get(agentId)?.length ?? 0; !signal.aborted;) {
      const lines = this.#lines.get(agentId) ?? [];
      if (position < lines.length) yield lines[position++] as string;
      else await this.#news(signal);
    }
  }

  async purge(agentId: string): Promise<void> {
    this.#lines.delete(agentId);
    this.purged.push(agentId);
  }

  /** How many followers wait. */
  get readers(): number {
    return this.#readers.size;
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#readers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#readers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }
}
