import type { RecordKind, RecordRow, Records } from '../ports/records.ts';

export interface RecordSweepDeps {
  records: Pick<Records, 'listRecords'>;
  kind: RecordKind;
  /** Looks at one that is not done. */
  look: (row: RecordRow) => Promise<void>;
  /** What comes after all of them. */
  afterAll?: () => Promise<void>;
  /** A look has failed, and comes again. */
  failed: (error: unknown) => void;
  /** What has changed more recently is not checked: its news may be on its way. @default 10000 */
  freshMs?: number | undefined;
}

const EVERY_MS = 10 * 60_000;
/** After the first look, at what was too fresh for it. */
const SECOND_MS = 30_000;
/** As long as Temporal is not there at a start, for example. */
const AGAIN_MS = 5_000;
const PAGE = 500;
const FRESH_MS = 10_000;

/** Looks again and again at what the records say is not done: at the start, soon after, then every 10 minutes. */
export class RecordSweep {
  readonly #deps: RecordSweepDeps;
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(deps: RecordSweepDeps) {
    this.#deps = deps;
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  start(): void {
    this.#plan(0, SECOND_MS);
  }

  async stop(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  #plan(inMs: number, nextMs = EVERY_MS): void {
    if (this.#ended) return;
    this.#timer = setTimeout(() => {
      this.#sweeping = this.sweep().then(
        () => this.#plan(nextMs),
        (error: unknown) => {
          this.#deps.failed(error);
          this.#plan(AGAIN_MS, nextMs);
        },
      );
    }, inMs);
    this.#timer.unref();
  }

  /** One look at all of them. @throws whatever `look` throws */
  async sweep(): Promise<void> {
    const { records, kind, look, afterAll, freshMs = FRESH_MS } = this.#deps;
    for (let before: number | undefined, isLast = false; !isLast && !this.#ended;) {
      const request = { kind, done: false, limit: PAGE } as const;
      const page = await records.listRecords(before === undefined ? request : { ...request, before });
      for (const row of page) {
        if (this.#ended) return;
        if (Date.now() - row.at_ms >= freshMs) await look(row);
      }
      before = page.at(-1)?.position;
      isLast = page.length < PAGE;
    }
    if (!this.#ended) await afterAll?.();
  }
}
