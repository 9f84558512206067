/** A refusal of the daemon, with its code, such as `AGENT_EXISTS`; see the daemon's docs/errors.md. Match it by `code`. */
export class DaemonError extends Error {
  readonly code: string;
  readonly remedy: string;
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, remedy = '', details: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DaemonError';
    this.code = code;
    this.remedy = remedy;
    this.details = details;
  }
}
