/** Reaches people. One notifier is one channel of the configuration. */
export interface Notifier {
  /** Name of the channel. */
  readonly name: string;
  /**
   * Resolves when the channel has taken the notice. `delivery_id` is the same in every attempt, and is sent along, so that a
   * receiver can tell a repetition.
   * @throws NotifierFailure
   */
  send(notice: Notice, signal: AbortSignal): Promise<void>;
}

export interface Notice {
  delivery_id: string;
  severity: 'info' | 'warning' | 'critical';
  /** One line. */
  title: string;
  /** Value, threshold, what was tried, what is needed; plain text of several lines. */
  text: string;
  /** For receivers that are programs. */
  data: unknown;
}

export class NotifierFailure extends Error {
  /** False if another attempt cannot succeed, such as after a 404: the next channel is taken. */
  readonly retryable: boolean;
  /** How long the receiver asks to be left in peace, milliseconds. */
  readonly retryAfterMs: number | undefined;

  /** @param message stands in logs and in the incident: without secrets, such as the URL of a webhook */
  constructor(message: string, options: { retryable: boolean; retryAfterMs?: number; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'NotifierFailure';
    this.retryable = options.retryable;
    this.retryAfterMs = options.retryAfterMs;
  }
}
