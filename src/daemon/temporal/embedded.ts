import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CodedError, codeOf } from '../../contract/errors.ts';
import { SEARCH_ATTRIBUTES } from '../../contract/names.ts';
import type { Events } from '../../custodian/protocol.ts';
import { type Backoff, backoffDelayMs } from '../../domain/backoff.ts';
import type { ExitRecord } from '../../domain/custody.ts';
import { choosePorts } from '../free-port.ts';
import type { TemporalBinary } from './binary.ts';
import { type CustodyCalls, exitText, logTail, saysPortWasTaken, TemporalCustody, unseenExit } from './custody.ts';
import { temporalDatabase } from './database.ts';
import { untilTemporalAnswers } from './ready.ts';
import { readTemporalRecord, type TemporalRecord, writeTemporalRecord } from './record.ts';
import { ensureRetention } from './retention.ts';
import { EMBEDDED_NAMESPACE, temporalServerArgs } from './server-args.ts';

const RESTART_BACKOFF: Backoff = { initialMs: 200, factor: 2, maxMs: 30_000, jitter: 0.1 };
/** A run of this length ends a series of failures. */
const STABLE_MS = 60_000;
/** How often other ports are chosen when somebody takes one between the choice and the server's start. */
const PORT_TRIES = 5;

export interface EmbeddedTemporalOptions {
  custody: CustodyCalls;
  binary: TemporalBinary;
  /** The daemon's own folder. */
  stateDir: string;
  /** 0: any free one. Of a server that is adopted, the ports it has count. */
  ports: { temporal: number; ui: number };
  log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  env?: Readonly<Record<string, string | undefined>>;
  /** How long a server may take until it answers. */
  readyMs?: number;
}

export interface RunningTemporal {
  address: string;
  namespace: string;
  uiUrl: string;
  pid: number;
  /** True if it ran already: workflows, timers and connections of it went on meanwhile. */
  adopted: boolean;
  version: string;
}

/**
 * The Temporal server of a daemon that was given none. It outlives the daemon: a later daemon adopts it. While this daemon
 * runs, a server that exits is started again on the same ports, with back-off and without end.
 */
export class EmbeddedTemporal {
  readonly #options: EmbeddedTemporalOptions;
  readonly #custody: TemporalCustody;
  readonly #readyMs: number;
  readonly #abort = new AbortController();
  #record: TemporalRecord | undefined;
  /** The generation that answered, while it has not ended. */
  #served: number | undefined;
  #lastExit: ExitRecord | undefined;
  #wake: () => void = () => {};
  #supervision: Promise<void> = Promise.resolve();

  constructor(options: EmbeddedTemporalOptions) {
    this.#options = options;
    this.#custody = new TemporalCustody(options.custody);
    this.#readyMs = options.readyMs ?? 30_000;
  }

  /**
   * Adopts the server that runs, or starts one.
   *
   * @throws CodedError PORT_IN_USE, TEMPORAL_DATABASE, TEMPORAL_UNAVAILABLE; then nothing of it runs that did not run before
   */
  async start(): Promise<RunningTemporal> {
    const running = (await this.#adopt()) ?? (await this.#startFirst());
    this.#options.log.info(
      { temporal: running },
      `Temporal ${running.adopted ? 'was running and is adopted' : 'started'}`,
    );
    this.#supervision = this.#supervise();
    return running;
  }

  /** To be called with every exit that the custodian tells. Those of agents are left alone. */
  noteExit({ agent, exit }: Pick<Events['exit'], 'agent' | 'exit'>): void {
    if (this.#custody.isMine(agent)) this.#ended(exit);
  }

  /** Looks whether the server still lives. For when events may have been missed: after the custodian was lost, and now and then. */
  async check(): Promise<void> {
    const generation = this.#served;
    const entry = await this.#custody.entry();
    // One that is being started meanwhile is not missed yet.
    if (generation === undefined || generation !== this.#served || entry?.live?.generation === generation) return;
    const exit = entry?.custody.last_exit;
    this.#ended(exit?.generation === generation ? exit : unseenExit(generation));
  }

  /** Ends the watch and leaves the server running, for a daemon that comes back. */
  async detach(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    await this.#supervision;
  }

  /** Ends the server, after everything that needs it. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#wake();
    await this.#supervision;
    const live = (await this.#custody.entry())?.live;
    if (live !== undefined) await this.#custody.stop(live.generation);
  }

  async #adopt(): Promise<RunningTemporal | undefined> {
    const { stateDir, log } = this.#options;
    const live = (await this.#custody.entry())?.live;
    if (live === undefined) return undefined;
    const record = await readTemporalRecord(stateDir);
    if (live.stopping === undefined && record?.generation === live.generation) {
      this.#record = record;
      try {
        await this.#untilReady(record);
        return this.#describe(record, live.pid, true);
      } catch (error) {
        if (this.#hasEnded(live.generation)) return undefined;
        log.warn(
          { temporal_pid: live.pid },
          `Temporal runs and does not answer, and is replaced: ${(error as Error).message}`,
        );
      }
    }
    // Without its record nobody knows its ports.
    await this.#custody.stop(live.generation);
    return undefined;
  }

  async #startFirst(): Promise<RunningTemporal> {
    const { binary, log, ports, stateDir } = this.#options;
    await temporalDatabase(stateDir, binary.version); // the plainer complaint comes first
    for (let tried = 1; ; tried++) {
      const chosen = await choosePorts({ Temporal: ports.temporal, 'the Temporal Web UI': ports.ui });
      try {
        return await this.#launch({ port: chosen.Temporal, ui_port: chosen['the Temporal Web UI'] });
      } catch (error) {
        if (codeOf(error) !== 'PORT_IN_USE' || tried === PORT_TRIES) throw error;
        log.warn(
          { ports: chosen, tried },
          `${(error as Error).message}\nIt is tried again, with other ports where any are allowed`,
        );
      }
    }
  }

  /** One attempt, from the spawn to the first answer. What does not get that far is stopped again. */
  async #launch({ port, ui_port }: Pick<TemporalRecord, 'port' | 'ui_port'>): Promise<RunningTemporal> {
    const { binary, stateDir } = this.#options;
    // Anew each time: the server that was adopted may have been of another version than the binary at hand.
    const database = await temporalDatabase(stateDir, binary.version);
    const entry = await this.#custody.entry();
    if (entry?.live !== undefined) await this.#custody.stop(entry.live.generation);
    const record = { generation: (entry?.custody.fence ?? 0) + 1, port, ui_port, cli_version: binary.version };
    // Before the spawn: a daemon killed in between finds a record of a generation that does not live, and no harm done.
    await writeTemporalRecord(stateDir, record);
    this.#record = record;
    const serverOptions = { port, uiPort: ui_port, dbFile: database, searchAttributes: SEARCH_ATTRIBUTES };
    const spawned = await this.#custody.spawn({
      generation: record.generation,
      command: [binary.path, ...temporalServerArgs(serverOptions)],
      env: this.#options.env ?? process.env,
      cwd: path.dirname(database),
    });
    try {
      await this.#untilReady(record, async () => saysPortWasTaken(await logTail(spawned.log_path)));
    } catch (error) {
      const ended = this.#hasEnded(record.generation);
      if (!ended) await this.#custody.stop(record.generation);
      if (this.#abort.signal.aborted) throw error;
      const how = ended ? `ended before it answered (${exitText(this.#lastExit)})` : (error as Error).message;
      const tail = await logTail(spawned.log_path);
      const message = `The embedded Temporal server: ${how}. The end of its log ${spawned.log_path}:\n${tail}`;
      const code = saysPortWasTaken(tail) ? 'PORT_IN_USE' : 'TEMPORAL_UNAVAILABLE';
      throw new CodedError(code, message, { log: spawned.log_path }, error);
    }
    return this.#describe(record, spawned.pid, spawned.adopted);
  }

  async #untilReady(record: TemporalRecord, hasFailed?: () => Promise<boolean>): Promise<void> {
    const connection = await untilTemporalAnswers({
      address: addressOf(record),
      namespace: EMBEDDED_NAMESPACE,
      deadlineMs: this.#readyMs,
      hasEnded: async () => this.#hasEnded(record.generation) || (await hasFailed?.()) === true,
      signal: this.#abort.signal,
    });
    try {
      await ensureRetention(connection, EMBEDDED_NAMESPACE);
      if (!this.#hasEnded(record.generation)) this.#served = record.generation;
    } finally {
      await connection.close();
    }
  }

  async #supervise(): Promise<void> {
    const { log } = this.#options;
    let failures = 0;
    for (;;) {
      const record = this.#record;
      if (record === undefined || !(await this.#untilEnded(record.generation))) return;
      failures = (this.#lastExit?.ran_ms ?? 0) >= STABLE_MS ? 1 : failures + 1;
      const delayMs = backoffDelayMs(RESTART_BACKOFF, failures, Math.random());
      log.warn({ failures, delay_ms: delayMs }, `Temporal ended (${exitText(this.#lastExit)}) and is started again`);
      try {
        await delay(delayMs, undefined, { signal: this.#abort.signal });
        const running = await this.#launch(record);
        log.info({ temporal: running }, 'Temporal runs again');
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        log.warn({ failures }, (error as Error).message);
        // A spawn that was refused leaves no exit to wait for.
        this.#ended(unseenExit(this.#record?.generation ?? record.generation));
      }
    }
  }

  /** @returns false if the watch was ended instead */
  async #untilEnded(generation: number): Promise<boolean> {
    while (!this.#abort.signal.aborted) {
      if (this.#hasEnded(generation)) return true;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return false;
  }

  #ended(exit: ExitRecord): void {
    if (exit.generation < (this.#lastExit?.generation ?? 0)) return;
    this.#lastExit = exit;
    if (this.#served !== undefined && exit.generation >= this.#served) this.#served = undefined;
    this.#wake();
  }

  #hasEnded(generation: number): boolean {
    return (this.#lastExit?.generation ?? 0) >= generation;
  }

  #describe(record: TemporalRecord, pid: number, adopted: boolean): RunningTemporal {
    const uiUrl = `http://127.0.0.1:${record.ui_port}`;
    return {
      address: addressOf(record),
      namespace: EMBEDDED_NAMESPACE,
      uiUrl,
      pid,
      adopted,
      version: record.cli_version,
    };
  }
}

const addressOf = (record: TemporalRecord): string => `127.0.0.1:${record.port}`;
