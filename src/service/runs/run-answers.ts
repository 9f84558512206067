import { WorkflowNotFoundError } from '@temporalio/client';
import { setTimeout as delay } from 'node:timers/promises';
import { runWorkflowIdOf } from '../../contract/run-view.ts';
import { ANSWER_SIGNAL, RUNS_QUEUE, UNDELIVERED_SIGNAL } from '../../contract/run-workflow.ts';
import { DAEMON_SENDER, type Json, type Message } from '../../domain/messages/message.ts';
import { DEAD_LETTER_TOPIC } from '../../domain/messages/topic.ts';
import type { RunAnswer } from '../../domain/runs/run-state.ts';
import type { Delivery, MessageBus } from '../../ports/message-bus.ts';
import type { Roster } from '../../ports/roster.ts';
import type { TemporalClient } from '../agent-workflows.ts';

export interface RunAnswersDeps {
  bus: Pick<MessageBus, 'watch' | 'receive' | 'ack' | 'nack' | 'events' | 'latestEvent' | 'browse'>;
  client: Pick<TemporalClient, 'workflow' | 'withDeadline'>;
  roster: Pick<Roster, 'getFact' | 'setFact'>;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

const LEASE_MS = 30_000;
const RETRY_MS = 2_000;
const CALL_MS = 5_000;
const BATCH = 20;
/** How far the dead letters have been looked through. */
const FACT = 'runs_dead_letters';
const DEAD_PAGE = 200;

/**
 * Takes what agents answer to the tasks of runs, and the dead letters of those tasks, to the runs that wait for them. Both
 * stay where they are until the run's workflow has them, so neither a death nor an outage loses one.
 */
export class RunAnswers {
  readonly #deps: RunAnswersDeps;
  readonly #ending = new AbortController();
  #unwatch: () => void = () => undefined;
  #work: Promise<void> = Promise.resolve();
  readonly #due = { answers: false, deaths: false };
  #isWorking = false;

  constructor(deps: RunAnswersDeps) {
    this.#deps = deps;
  }

  /** From now on, and for what came before. */
  async start(): Promise<void> {
    const { bus, roster } = this.#deps;
    if ((await roster.getFact(FACT)) === undefined) await roster.setFact(FACT, String(await bus.latestEvent()));
    this.#unwatch = bus.watch((change) => {
      if (change.kind === 'queue' && change.queue === RUNS_QUEUE) this.#wake('answers');
      if (change.kind === 'event' && change.topic === DEAD_LETTER_TOPIC) this.#wake('deaths');
    });
    this.#wake('answers');
    this.#wake('deaths');
  }

  async stop(): Promise<void> {
    this.#unwatch();
    this.#ending.abort();
    await this.#work;
  }

  /** Everything that an agent has answered before this call is with its run when this resolves. */
  async flush(): Promise<void> {
    this.#wake('answers');
    while (this.#isWorking && !this.#ending.signal.aborted) await this.#work;
  }

  /**
   * The first answer of the agent that has not reached its run: `flush` does not find what is held under the lease of a daemon
   * that has died, nor what waits for another attempt.
   */
  async find(runId: string, agentId: string): Promise<RunAnswer | null> {
    for (let after: string | undefined; ;) {
      const from = after === undefined ? {} : { after };
      const of = { queue: RUNS_QUEUE, from: agentId, correlationId: runId, limit: BATCH };
      const page = await this.#deps.bus.browse({ ...of, ...from });
      const found = page.map(answerOf).find((answer) => answer !== undefined);
      if (found !== undefined) return found;
      if (page.length < BATCH) return null;
      after = page.at(-1)?.id;
    }
  }

  #wake(what: 'answers' | 'deaths'): void {
    this.#due[what] = true;
    if (this.#isWorking || this.#ending.signal.aborted) return;
    this.#isWorking = true;
    this.#work = this.#run().finally(() => (this.#isWorking = false));
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while ((this.#due.answers || this.#due.deaths) && !signal.aborted) {
      try {
        if (this.#due.answers) {
          this.#due.answers = false;
          await this.#takeAnswers();
        }
        if (this.#due.deaths) {
          this.#due.deaths = false;
          await this.#takeDeaths();
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#deps.warn('cannot take answers to their runs; trying again', { error: String(error) });
        this.#due.answers = true;
        this.#due.deaths = true;
        await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  async #takeAnswers(): Promise<void> {
    const { bus } = this.#deps;
    for (;;) {
      const messages = await bus.receive({
        queues: [RUNS_QUEUE],
        consumer: DAEMON_SENDER,
        max: BATCH,
        leaseMs: LEASE_MS,
      });
      if (messages.length === 0) return;
      // Of one run in their order, as the first counts; and no run waits for another one's.
      const ofRuns = new Map<string | null, Delivery[]>();
      for (const message of messages)
        ofRuns.set(message.correlationId, [...(ofRuns.get(message.correlationId) ?? []), message]);
      const taken = await Promise.allSettled([...ofRuns.values()].map((ofRun) => this.#takeAnswersOf(ofRun)));
      const failed = taken.find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
    }
  }

  async #takeAnswersOf(messages: readonly Delivery[]): Promise<void> {
    const { bus } = this.#deps;
    for (const [n, message] of messages.entries()) {
      try {
        await this.#takeAnswer(message);
        await bus.ack(message);
      } catch (error) {
        // Not only this one: what is kept would be out of sight until its lease is over.
        for (const left of messages.slice(n))
          await bus.nack(left, { delayMs: RETRY_MS, reason: String(error) }).catch(() => undefined);
        throw error;
      }
    }
  }

  async #takeAnswer(message: Delivery): Promise<void> {
    const answer = answerOf(message);
    if (answer === undefined || message.correlationId === null) return;
    await this.#signal(message.correlationId, ANSWER_SIGNAL, answer);
  }

  async #takeDeaths(): Promise<void> {
    const { bus, roster } = this.#deps;
    for (;;) {
      const after = Number((await roster.getFact(FACT)) ?? 0);
      const page = await bus.events({ patterns: [DEAD_LETTER_TOPIC], after, limit: DEAD_PAGE });
      for (const { payload } of page.events) await this.#takeDeath(payload);
      if (page.next > after) await roster.setFact(FACT, String(page.next));
      if (page.events.length < DEAD_PAGE) return;
    }
  }

  async #takeDeath(payload: Json): Promise<void> {
    const { message_id: id, queue, from, type, reason } = payload as Record<string, Json>;
    if (from !== DAEMON_SENDER || type !== 'TASK_DELEGATE' || typeof queue !== 'string' || typeof id !== 'string')
      return;
    const runId = await this.#correlationOf(queue, id);
    const why = typeof reason === 'string' ? reason : 'it was given up';
    if (runId !== null) await this.#signal(runId, UNDELIVERED_SIGNAL, { reason: why });
  }

  async #correlationOf(queue: string, id: string): Promise<string | null> {
    for (let after: string | undefined; ;) {
      const from = after === undefined ? {} : { after };
      const page = await this.#deps.bus.browse({ queue, state: 'dead', limit: DEAD_PAGE, ...from });
      const found = page.find((message) => message.id === id);
      if (found !== undefined) return found.correlationId;
      if (page.length < DEAD_PAGE) return null;
      after = page.at(-1)?.id;
    }
  }

  async #signal(runId: string, name: string, argument: unknown): Promise<void> {
    const { client } = this.#deps;
    const handle = client.workflow.getHandle(runWorkflowIdOf(runId));
    try {
      await client.withDeadline(Date.now() + CALL_MS, () => handle.signal(name, argument));
    } catch (error) {
      // The run is over; nobody waits any more.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
}

/** TASK_RESULT and TASK_REJECT are answers; that a task was taken, or how far it is, is none. */
function answerOf({ type, from, payload }: Message): RunAnswer | undefined {
  const { ok, reason, error } = (typeof payload === 'object' && payload !== null ? payload : {}) as Record<
    string,
    Json
  >;
  const why = [reason, error].find((each) => typeof each === 'string') ?? null;
  if (type === 'TASK_RESULT') return { from, ok: ok !== false, reason: why, payload };
  if (type === 'TASK_REJECT') return { from, ok: false, reason: why ?? 'it has refused the task', payload };
  return undefined;
}
