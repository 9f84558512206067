import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CodedError } from '../../contract/errors.ts';
import type { CustodyEntry, Methods, SpawnParams, SpawnResult } from '../../custodian/protocol.ts';
import type { ExitRecord } from '../../domain/custody.ts';

/** The server is the custodian's child under this reserved name: same custody, adoption, logs and fence as an agent. */
const AGENT = '_temporal';

const STOP_GRACE_MS = 10_000;
const STOP_MARGIN_MS = 5_000;
const POLL_MS = 25;
const LOG_FILES = { max_bytes: 16 * 1024 * 1024, keep: 3 };
const ENVIRONMENT = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG', 'GOGC', 'GOMEMLIMIT', 'GOMAXPROCS', 'SSL_CERT_FILE'];

/** What is needed of the daemon's hold on the custodian. */
export interface CustodyCalls {
  call<M extends keyof Methods>(method: M, params: Methods[M][0]): Promise<Methods[M][1]>;
}

/** The embedded server as a child of the custodian. */
export class TemporalCustody {
  readonly #custody: CustodyCalls;

  constructor(custody: CustodyCalls) {
    this.#custody = custody;
  }

  isMine(agent: string): boolean {
    return agent === AGENT;
  }

  async entry(): Promise<CustodyEntry | undefined> {
    const { entries } = await this.#custody.call('list', {});
    return entries.find((entry) => entry.agent === AGENT);
  }

  async spawn(
    params: Pick<SpawnParams, 'generation' | 'command' | 'cwd'> & { env: Readonly<Record<string, string | undefined>> },
  ): Promise<SpawnResult> {
    const env = Object.fromEntries(
      ENVIRONMENT.flatMap((name) => (params.env[name] === undefined ? [] : [[name, params.env[name]]])),
    );
    return this.#custody.call('spawn', { ...params, agent: AGENT, env, log: LOG_FILES });
  }

  /** Stops the generation and waits for its end. */
  async stop(generation: number): Promise<void> {
    const order = { agent: AGENT, generation, cause: 'shutdown', signal: 'SIGTERM', grace_ms: STOP_GRACE_MS } as const;
    let { done } = await this.#custody.call('stop', order);
    // Asked, not awaited: an event can be missed while the custodian changes.
    for (const end = performance.now() + STOP_GRACE_MS + STOP_MARGIN_MS; !done; await delay(POLL_MS)) {
      const live = (await this.entry())?.live;
      done = live?.generation !== generation;
      if (!done && performance.now() > end) {
        throw new CodedError('TEMPORAL_UNAVAILABLE', `Temporal (pid ${live?.pid}) does not end, even by SIGKILL`);
      }
    }
  }
}

/** Stands for an exit of which nothing is known but that it happened. */
export function unseenExit(generation: number): ExitRecord {
  return { generation, code: null, signal: null, cause: 'self', at: new Date().toISOString(), ran_ms: 0 };
}

export function exitText(exit: ExitRecord | undefined): string {
  return exit?.signal ?? (exit?.code === null || exit === undefined ? 'exit code unknown' : `exit code ${exit.code}`);
}

export async function logTail(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: Error) => error.message);
  const lines = text.trimEnd().split('\n').slice(-5);
  return lines.map((line) => `  ${line.slice(0, 400)}`).join('\n');
}

/** A server one of whose ports is taken says so and may then hang, without an end and without an answer. */
export const saysPortWasTaken = (log: string): boolean => log.includes('bind: address already in use');
