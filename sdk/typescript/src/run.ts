import { Agent, type AgentOptions } from './agent.ts';
import type { Message } from './message.ts';
import type { HandlerContext } from './receiver.ts';

/** What a class may have to be run as an agent; all of it may be missing, and may be asynchronous. */
export interface AgentObject {
  /** Called at the start; it may return, or go on until `stop` is called. */
  start?(): unknown;
  /** Called at the end, after the last message. */
  stop?(): unknown;
  /** What the schedule asks for. */
  handleCron?(message: Message, context: HandlerContext): unknown;
  /** Every other message. */
  handleMessage?(message: Message, context: HandlerContext): unknown;
}

/**
 * Runs a class as an agent, until the daemon stops it. One that handles nothing ends when its `start` has returned.
 * @throws what its `start` or `stop` has thrown
 */
export async function run(AgentClass: new (agent: Agent) => AgentObject, options: AgentOptions = {}): Promise<void> {
  const agent = new Agent(options);
  const own = new AgentClass(agent);
  if (own.handleCron) agent.onCron((message, context) => own.handleCron?.(message, context));
  if (own.handleMessage) agent.on('*', (message, context) => own.handleMessage?.(message, context));
  const start = async (): Promise<void> => {
    await own.start?.();
    if (!own.handleCron && !own.handleMessage && !agent.stopping.signal.aborted) void agent.stop();
  };
  let started: Promise<void> | undefined;
  agent.onStop(async () => {
    await own.stop?.();
    await started;
  });
  const ended = agent.run();
  started = start().catch((error: unknown) => agent.fail(error));
  await ended;
}
