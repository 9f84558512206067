/** The output of agents. */
export interface LogSource {
  /** The last `lines` lines of the latest incarnations, oldest first; empty if there are none. */
  tail(agentId: string, options: { lines: number; generation?: number }): Promise<string[]>;
  /** New lines as they come, across rotations and new incarnations, until `signal` aborts. */
  follow(agentId: string, signal: AbortSignal): AsyncIterable<string>;
  /** Deletes all logs of an agent. */
  purge(agentId: string): Promise<void>;
}
