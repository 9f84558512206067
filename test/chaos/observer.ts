import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./observer.mjs', import.meta.url));

export interface SeenIncarnation {
  nonce: string;
  agent: string;
  generation: number;
  /** The process of it that was seen first. */
  pid: number;
  start: number;
  /** What lives of it now. */
  pids: number[];
  lives: boolean;
}

export interface Observation {
  samples: number;
  longest_gap_ms: number;
  /** Two incarnations of one agent that lived at the same time. */
  doubles: { agent: string; pids: number[][]; at: string }[];
  incarnations: SeenIncarnation[];
}

/** The independent witness `observer.mjs`, in a process of its own. */
export class Observer {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(prefix: string) {
    this.#child = spawn(process.execPath, [PROGRAM, prefix], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** For a marker that somebody else has made up. */
  async ignore(nonce: string): Promise<void> {
    await this.#ask({ op: 'ignore', nonce });
  }

  async report(): Promise<Observation> {
    return (await this.#ask({ op: 'report' })) as Observation;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await ended;
  }

  /** One question after the other: answers come in the order of the questions. */
  #ask(question: object): Promise<unknown> {
    const answer = this.#last.then(async () => {
      this.#child.stdin!.write(`${JSON.stringify(question)}\n`);
      const { value, done } = await this.#answers.next();
      if (done) throw new Error('The observer has ended');
      return JSON.parse(value) as unknown;
    });
    this.#last = answer.catch(() => undefined);
    return answer;
  }
}
