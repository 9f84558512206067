import type { Daemon } from './daemon.ts';
import { DaemonError } from './daemon-error.ts';
import { pathOf, type Message } from './message.ts';

/** They say that somebody works on it: the answer is still to come. */
const INTERIM = ['TASK_ACCEPT', 'TASK_PROGRESS'];
const POLL_MS = 20_000;

export interface AnswerOptions {
  timeoutMs: number;
  /** Told of `TASK_ACCEPT` and `TASK_PROGRESS`. */
  onProgress?: (message: Message) => void;
}

interface Question {
  isAnswer?: (message: Message) => boolean;
  settle: (message: Message) => void;
  onProgress: ((message: Message) => void) | undefined;
}

/** The answers that somebody waits for, by correlation id. */
export class Answers {
  private readonly daemon: Daemon;
  private readonly agentId: string;
  private readonly questions = new Map<string, Question>();

  constructor(daemon: Daemon, agentId: string) {
    this.daemon = daemon;
    this.agentId = agentId;
  }

  /** @returns false if nobody waits for this one */
  take(message: Message): boolean {
    const question = this.questions.get(message.correlation_id ?? '');
    if (question === undefined || question.isAnswer?.(message) === false) return false;
    if (INTERIM.includes(message.type)) question.onProgress?.(message);
    else question.settle(message);
    return true;
  }

  /** Told if the receive loop takes such a message, in place of its handler. @returns what ends that */
  listen(
    correlationId: string,
    isAnswer: (message: Message) => boolean,
    settle: (message: Message) => void,
  ): () => void {
    const question = { isAnswer, settle, onProgress: undefined };
    this.questions.set(correlationId, question);
    return () => {
      if (this.questions.get(correlationId) === question) this.questions.delete(correlationId);
    };
  }

  /**
   * Asks, and waits for the answer. It is looked for apart from the receive loop, which may be busy with the very message
   * that made somebody ask.
   * @throws DaemonError REQUEST_TIMEOUT, REQUEST_UNDELIVERED, and those of `ask`
   */
  async expect(
    correlationId: string,
    { timeoutMs, onProgress }: AnswerOptions,
    ask: () => Promise<unknown>,
    stopping: AbortSignal,
  ): Promise<Message> {
    stopping.throwIfAborted();
    const until = performance.now() + timeoutMs;
    const done = new AbortController();
    const cut = (): void => done.abort(stopping.reason);
    stopping.addEventListener('abort', cut);
    try {
      const settled = new Promise<Message>((settle) => this.questions.set(correlationId, { settle, onProgress }));
      await ask();
      return undelivered(await Promise.race([settled, this.look(correlationId, until, done.signal)]));
    } finally {
      this.questions.delete(correlationId);
      stopping.removeEventListener('abort', cut);
      done.abort();
    }
  }

  /** Until the time is over; what it finds settles the question. */
  private async look(correlationId: string, until: number, signal: AbortSignal): Promise<never> {
    for (;;) {
      signal.throwIfAborted();
      const leftMs = Math.ceil(until - performance.now());
      if (leftMs <= 0) throw new DaemonError('REQUEST_TIMEOUT', `Nobody has answered ${correlationId} in time`);
      const waitMs = Math.min(POLL_MS, leftMs);
      const { messages } = await this.daemon.json<{ messages: Message[] }>('GET', pathOf(this.agentId), {
        // The same for each attempt of this look: an answer that got lost comes again at once.
        query: { correlation_id: correlationId, max: 10, wait: `${waitMs}ms`, receive_id: crypto.randomUUID() },
        timeoutMs: waitMs + 10_000,
        retryForMs: leftMs,
        signal,
      });
      for (const message of messages) {
        await acknowledge(this.daemon, this.agentId, message);
        this.take(message);
      }
    }
  }
}

/** It is for somebody else in this process. */
export async function giveBack(daemon: Daemon, agentId: string, { id, lease }: Message): Promise<void> {
  const body = { lease, delay: '0ms', reason: 'it is for a handler' };
  try {
    await daemon.json('POST', `${pathOf(agentId)}/${encodeURIComponent(id)}/nack`, { body });
  } catch (error) {
    if (!isLost(error)) throw error;
  }
}

/** @returns false if it is not ours any more: the lease had run out, or an earlier attempt was heard after all */
export async function acknowledge(daemon: Daemon, agentId: string, { id, lease }: Message): Promise<boolean> {
  try {
    await daemon.json('POST', `${pathOf(agentId)}/${encodeURIComponent(id)}/ack`, { body: { lease } });
    return true;
  } catch (error) {
    if (isLost(error)) return false;
    throw error;
  }
}

export function isLost(error: unknown): boolean {
  return error instanceof DaemonError && ['MESSAGE_NOT_FOUND', 'LEASE_STALE'].includes(error.code);
}

function undelivered(message: Message): Message {
  const { type, from, payload } = message;
  if (type !== 'CONTROL' || from !== '_daemon') return message;
  const { cause, reason } = payload as { cause?: string; reason?: string };
  // The message lives as long as its answer is waited for: which of the two is noticed first is chance.
  if (cause === 'expired') throw new DaemonError('REQUEST_TIMEOUT', `Nobody has answered in time: ${reason ?? ''}`);
  throw new DaemonError('REQUEST_UNDELIVERED', `The message was given up: ${reason ?? 'no reason given'}`, '', {
    notice: payload,
  });
}
