export interface TailOptions {
  /** At most so many. */
  lines: number;
  /** Only of this incarnation. */
  generation?: number;
  /** Nothing written before; exact where lines tell their time, else what has been written to since as a whole. */
  sinceMs?: number;
}

/** The output of agents. */
export interface LogSource {
  /** The last lines of the latest incarnations, oldest first; empty if there are none. */
  tail(agentId: string, options: TailOptions): Promise<string[]>;
  /** New lines as they come, across rotations and new incarnations, until `signal` aborts. */
  follow(agentId: string, signal: AbortSignal): AsyncIterable<string>;
  /** Deletes all logs of an agent. */
  purge(agentId: string): Promise<void>;
}
