import type { StopPolicy } from '../domain/stop-policy.ts';

/** The straight way to the custodian, for when Temporal is away. */
export interface HostControl {
  /**
   * Stops the agent's process. The custodian keeps the order, which is handed over to Temporal before any other command
   * once it is back. Resolves when the order is kept, not when the process has ended.
   * @throws CodedError CUSTODIAN_UNAVAILABLE
   */
  order(agentId: string, verb: 'stop' | 'delete', stop: StopPolicy): Promise<void>;
  /**
   * To be called before a command that lets the agent run: an order that is still kept would come after it, and undo it.
   * @throws CodedError TEMPORAL_UNAVAILABLE if one cannot be handed over now; CUSTODIAN_UNAVAILABLE if nobody can tell
   */
  handOver(agentId: string): Promise<void>;
}
