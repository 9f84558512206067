import { RUNS_QUEUE, type RunTarget } from '../../contract/run-workflow.ts';
import { DAEMON_SENDER } from '../../domain/messages/message.ts';
import { mailboxOf } from '../../domain/messages/queue-name.ts';
import type { RunCollected } from '../../domain/runs/run-state.ts';
import type { MessageBus, StoredMessage } from '../../ports/message-bus.ts';
import type { RosterRow } from '../../ports/roster.ts';
import { wakesFromMs } from '../messaging/wake-rule.ts';

export interface RunTasksDeps {
  bus: Pick<MessageBus, 'send' | 'browse' | 'receive' | 'ack' | 'nack'>;
  /** @default Date.now */
  now?: () => number;
}

const LEASE_MS = 10_000;
/** More than one: messages of others may be under the same correlation id. */
const TAKEN_BACK = 10;

/** Tasks of runs in the mailboxes of agents that run anyway. */
export class RunTasks {
  readonly #deps: RunTasksDeps;

  constructor(deps: RunTasksDeps) {
    this.#deps = deps;
  }

  /** @param deadlineMs when it is of no use any more; null: never */
  async delegate(runId: string, agentId: string, task: string, deadlineMs: number | null): Promise<void> {
    const { bus, now = Date.now } = this.#deps;
    const deadline = deadlineMs === null ? {} : { deadline: new Date(deadlineMs).toISOString() };
    await bus.send([
      {
        queue: mailboxOf(agentId),
        from: DAEMON_SENDER,
        type: 'TASK_DELEGATE',
        payload: { task_id: runId, task, ...deadline },
        correlationId: runId,
        replyTo: RUNS_QUEUE,
        idempotencyKey: `run/${runId}`,
        ...(deadlineMs === null ? {} : { ttlMs: Math.max(1, deadlineMs - now()) }),
      },
    ]);
  }

  /** What has become of the task of an agent that is at rest. If nobody will take it, it is taken back. */
  async lookAt(runId: string, agentId: string, row: RosterRow | undefined): Promise<RunCollected['task']> {
    const task = await this.#find(runId, agentId);
    if (task === undefined) return 'acknowledged';
    switch (task.state) {
      case 'dead':
        return 'withdrawn';
      case 'leased':
        return 'leased';
      default:
        if (row !== undefined && isWokenBy(row, task)) return 'waiting';
        return (await this.#takeBack(runId, agentId)) ? 'withdrawn' : 'leased';
    }
  }

  /** It is of no use any more: taken back, or, if it is in the agent's hands or done, the agent is notified. */
  async withdraw({ run_id, agent_id, reason }: RunTarget & { reason: string }): Promise<void> {
    if (await this.#takeBack(run_id, agent_id)) return;
    const task = await this.#find(run_id, agent_id);
    if (task?.state === 'dead') return;
    await this.#deps.bus.send([
      {
        queue: mailboxOf(agent_id),
        from: DAEMON_SENDER,
        type: 'CONTROL',
        payload: { event: 'task_cancelled', task_id: run_id, reason },
        correlationId: run_id,
        idempotencyKey: `run/${run_id}/cancelled`,
      },
    ]);
  }

  async #find(runId: string, agentId: string): Promise<StoredMessage | undefined> {
    const known = await this.#deps.bus.browse({ queue: mailboxOf(agentId), correlationId: runId, limit: 100 });
    return known.find(isTask);
  }

  async #takeBack(runId: string, agentId: string): Promise<boolean> {
    const { bus } = this.#deps;
    const queues = [mailboxOf(agentId)];
    const taken = await bus.receive({
      queues,
      consumer: DAEMON_SENDER,
      max: TAKEN_BACK,
      correlationId: runId,
      leaseMs: LEASE_MS,
    });
    // Others may use the same correlation id, such as an agent that has delegated a part of it.
    for (const message of taken)
      await (isTask(message) ? bus.ack(message) : bus.nack(message, { delayMs: 0, reason: 'it was not meant' }));
    return taken.some(isTask);
  }
}

const isTask = ({ type, from }: { type: string; from: string }): boolean =>
  type === 'TASK_DELEGATE' && from === DAEMON_SENDER;

function isWokenBy(row: RosterRow, { sentAtMs }: StoredMessage): boolean {
  const fromMs = wakesFromMs(row);
  return fromMs !== undefined && sentAtMs > fromMs;
}
