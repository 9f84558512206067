import { readFileSync } from 'node:fs';
import { Answers, type AnswerOptions } from './answers.ts';
import { Daemon } from './daemon.ts';
import { DaemonError } from './daemon-error.ts';
import { Heartbeats, type Beat } from './heartbeats.ts';
import { endpointOf, variable } from './http.ts';
import { Incidents, type Decision, type Incident, type ProposedAction, type Risk } from './incidents.ts';
import type { ProposeOptions, ReportOptions } from './incidents.ts';
import { pathOf, Reject, type Json, type Message, type Outgoing, type Recipient } from './message.ts';
import type { SendOptions, Sent } from './message.ts';
import { Receiver, type HandlerContext } from './receiver.ts';
import { StateScope, type StateEntry } from './state.ts';
import { Subscription, type EventHandler, type SubscribeOptions } from './subscription.ts';

/** Under the 10 s that the daemon gives by default. */
const GRACE_MS = 8_000;
const ANSWER_MS = 60_000;
const AWAKE_MS = 3_600_000;
/** Where the daemon takes the results of runs. */
const RUNS = { queue: 'openstarry.runs' };

export interface AgentOptions {
  /** What the daemon has put into the environment. @default process.env */
  env?: Record<string, string | undefined>;
  /** Messages that are dealt with at the same time, of each source; with more than one, their order is not kept. @default 1 */
  concurrency?: number;
  /** Work queues without members, which are open to all: what is in them comes only to those who name them. */
  queues?: string[];
  /** How long a message is ours without a word, such as `"30s"`; it is extended while its handler runs. @default the queue's */
  lease?: string;
  /** How long a stop waits for handlers. @default 8000 */
  graceMs?: number;
  /** Heartbeats of their own accord, as often as the daemon wants them. @default true */
  heartbeats?: boolean;
  /** For what people should know. @default a line on stderr */
  log?: (line: string) => void;
}

/** What an answer needs to know of a message. */
export type Question = Pick<Message<unknown>, 'id' | 'from' | 'reply_to' | 'correlation_id'>;
export type Handler<Payload = Json> = (message: Message<Payload>, context: HandlerContext) => unknown;

/** This process, as an agent of the daemon: messages, topics, state, signs of life, and an end in order. */
export class Agent {
  readonly id: string;
  /** What it was started to do; undefined if it has no task. */
  readonly task: string | undefined;
  /** The run that it was started for; undefined if it was not. */
  readonly runId: string | undefined;
  /** What belongs to this agent. */
  readonly state: StateScope;
  /** What all agents share. */
  readonly shared: StateScope;
  /** Aborted when the agent is to stop: `agent.stopping.signal`, for own loops and timers. */
  readonly stopping = new AbortController();
  private readonly options: AgentOptions;
  private readonly daemon: Daemon;
  private readonly answers: Answers;
  private readonly incidents: Incidents;
  private readonly beats: Heartbeats;
  private readonly handlers = new Map<string, Handler>();
  private readonly subscriptions = new Set<Subscription>();
  private readonly endings: (() => unknown)[] = [];
  private readonly log: (line: string) => void;
  private receivers: Receiver[] | undefined;
  private isRunning = false;
  private failure: { error: unknown } | undefined;
  private stopped: Promise<void> | undefined;
  private whenEnded: () => void = () => undefined;
  private readonly ended = new Promise<void>((resolve) => (this.whenEnded = resolve));
  /** Aborted when the grace of a stop is over. */
  private readonly cut = new AbortController();

  /** @throws DaemonError INVALID_REQUEST naming the variable that is missing */
  constructor(options: AgentOptions = {}) {
    const { env = process.env } = options;
    this.options = options;
    this.id = variable(env, 'OPENSTARRY_AGENT_ID');
    this.task = env['OPENSTARRY_TASK'];
    this.runId = env['OPENSTARRY_RUN_ID'];
    this.log = options.log ?? ((line) => void process.stderr.write(`[${this.id}] ${line}\n`));
    this.daemon = new Daemon(endpointOf(env), this.log);
    this.answers = new Answers(this.daemon, this.id);
    this.incidents = new Incidents(this.daemon, this.answers, this.id);
    this.beats = new Heartbeats(this.daemon, this.id, this.log);
    this.state = new StateScope(this.daemon, `/state/agents/${encodeURIComponent(this.id)}`);
    this.shared = new StateScope(this.daemon, '/state/shared');
  }

  /** Who deals with messages of a type; `*` is for all that have no handler of their own. Receiving begins with the first. */
  on<Payload = Json>(type: string, handler: Handler<Payload>): this {
    this.handlers.set(type, handler as Handler);
    if (this.isRunning) this.receive();
    return this;
  }

  /** What the schedule of this agent asks for. */
  onCron<Payload = Json>(handler: Handler<Payload>): this {
    return this.on('CRON', handler);
  }

  /** Called at the end, after the last message. */
  onStop(ending: () => unknown): this {
    this.endings.push(ending);
    return this;
  }

  /** Sends a message; it is safe when this resolves. Sent again after trouble, it is still one message. */
  send(to: Recipient, type: string, payload: Json, options: SendOptions = {}): Promise<Sent> {
    return this.daemon.json('POST', pathOf(to), { body: keyed({ ...options, type, payload }) });
  }

  /** Up to 100 messages: all of them are sent, or none. */
  async sendAll(to: Recipient, messages: Outgoing[]): Promise<Sent[]> {
    const body = { messages: messages.map(keyed) };
    return (await this.daemon.json<{ messages: Sent[] }>('POST', pathOf(to), { body })).messages;
  }

  /** Answers a message. @returns null if nobody can be answered: a person without `reply_to`, or the daemon itself */
  async reply(message: Question, type: string, payload: Json, options: SendOptions = {}): Promise<Sent | null> {
    const { id, from, reply_to: replyTo, correlation_id: correlation } = message;
    if (replyTo === null && (from === 'admin' || from === '_daemon')) return null;
    const answer = { correlation_id: correlation ?? id, idempotency_key: crypto.randomUUID(), ...options };
    const to = replyTo ?? from;
    if (to.startsWith('@')) return this.send({ queue: to }, type, payload, answer);
    try {
      return await this.send(to, type, payload, answer);
    } catch (error) {
      // `reply_to` names an agent or a work queue: only the daemon knows which.
      if (replyTo === null || !(error instanceof DaemonError) || error.code !== 'AGENT_NOT_FOUND') throw error;
      return this.send({ queue: to }, type, payload, answer);
    }
  }

  /**
   * Sends a message and waits for its answer. `TASK_ACCEPT` and `TASK_PROGRESS` are none: `onProgress` is told of them.
   * @param options `timeoutMs`: 60000 by default; it is the message's `ttl`, too, unless that is given
   * @throws DaemonError REQUEST_TIMEOUT; REQUEST_UNDELIVERED if the daemon has given the message up
   */
  request(
    to: Recipient,
    type: string,
    payload: Json,
    options: SendOptions & Partial<AnswerOptions> = {},
  ): Promise<Message> {
    const { timeoutMs = ANSWER_MS, onProgress, ...rest } = options;
    const correlation = rest.correlation_id ?? crypto.randomUUID();
    const how = { timeoutMs, ...(onProgress === undefined ? {} : { onProgress }) };
    const ask = () =>
      this.send(to, type, payload, { ttl: `${Math.ceil(timeoutMs)}ms`, ...rest, correlation_id: correlation });
    return this.answers.expect(correlation, how, ask, this.cut.signal);
  }

  /** @param key the same key on the same topic is the same event. @default one that is made for this call */
  publish(topic: string, payload: Json, key: string = crypto.randomUUID()): Promise<{ cursor: number }> {
    return this.daemon.json('POST', `/topics/${encodeURIComponent(topic)}`, { body: { payload, key } });
  }

  /** Events of a pattern, one after the other: `*` stands for one segment of a topic, `>` for the rest. */
  async subscribe(pattern: string, handler: EventHandler, options: SubscribeOptions = {}): Promise<Subscription> {
    const { daemon, state, log } = this;
    const subscription = new Subscription({ daemon, state, log }, pattern, options);
    await subscription.open(handler);
    this.subscriptions.add(subscription);
    return subscription;
  }

  /** What the last process of this agent has saved; undefined if there is nothing. */
  snapshot(): Json | undefined {
    const file = (this.options.env ?? process.env)['OPENSTARRY_SNAPSHOT_FILE'];
    if (file === undefined) return undefined;
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Json;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Given to the next process of this agent at its start. */
  saveSnapshot(value: Json): Promise<StateEntry> {
    return this.state.put('snapshot', value);
  }

  /** A sign of life, with how far it is. It is repeated from then on, as often as the daemon wants it. */
  heartbeat(beat: Beat = {}): Promise<void> {
    return this.beats.beat(beat);
  }

  /** Something is wrong, and somebody must know: the chief first, then people. @param summary a sentence */
  report(summary: string, options: ReportOptions = {}): Promise<Incident> {
    return this.incidents.report({ summary, ...options });
  }

  /**
   * Asks people to decide; `decision` waits for that, also in a later process, and so does a handler of
   * `APPROVAL_DECISION`. What was proposed under an `incident_id` is not proposed again: what has become of it is returned.
   * @param reason why, for those who decide
   */
  propose(action: ProposedAction, reason: string, risk: Risk, options: ProposeOptions = {}): Promise<Incident> {
    return this.incidents.propose(action, reason, risk, options);
  }

  /**
   * Waits until something that this agent has proposed is decided, which may take people days.
   * @param options `timeoutMs`: by default it waits until it is to stop
   * @throws DaemonError REQUEST_TIMEOUT: it still waits; AGENT_STOPPING; INCIDENT_NOT_FOUND, NOT_AN_APPROVAL
   */
  decision(incidentId: string, { timeoutMs = Infinity }: { timeoutMs?: number } = {}): Promise<Decision> {
    return this.incidents.decision(incidentId, timeoutMs, this.stopping.signal);
  }

  /** How an incident stands. @throws DaemonError INCIDENT_NOT_FOUND */
  incident(incidentId: string): Promise<Incident> {
    return this.incidents.get(incidentId);
  }

  /** Takes care of it: people are not told then, or not again. Only the chief may. */
  acknowledge(incidentId: string, note?: string): Promise<Incident> {
    return this.incidents.act('acknowledge', incidentId, note);
  }

  /** It is over. What this agent has reported, or, if it is the chief, any. */
  resolve(incidentId: string, note?: string): Promise<Incident> {
    return this.incidents.act('resolve', incidentId, note);
  }

  /**
   * Gives the result of the run that this process was started for, and stops.
   * @param result with `ok: false`, and a `reason`, the run has failed, whatever the exit code
   * @throws DaemonError INVALID_REQUEST if it was not started for a run: a task in a message is answered by `reply`
   */
  async finish(result: { [name: string]: Json } = {}): Promise<void> {
    const { id, runId } = this;
    if (runId === undefined)
      throw new DaemonError('INVALID_REQUEST', `${id} was not started for a run: OPENSTARRY_RUN_ID is not there`);
    await this.send(RUNS, 'TASK_RESULT', { ok: true, ...result }, { correlation_id: runId });
    void this.stop();
  }

  /** The last lines that this agent, or one that it has created, has written. @param tail 100 by default */
  async logs(tail = 100, agentId: string = this.id): Promise<string[]> {
    const text = await this.daemon.text('GET', `/agents/${encodeURIComponent(agentId)}/logs`, { query: { tail } });
    return text === '' ? [] : text.replace(/\n$/, '').split('\n');
  }

  /**
   * Receives until it is to stop: by `stop`, or by SIGTERM or SIGINT, after which the process ends with 0.
   * @throws what made it impossible to go on, such as DaemonError STALE_INCARNATION
   */
  async run(): Promise<void> {
    if (!this.isRunning) {
      this.isRunning = true;
      if (this.options.heartbeats !== false) void this.beats.run();
      if (this.handlers.size > 0) this.receive();
    }
    let isSignalled = false;
    const signalled = (): void => {
      if (isSignalled) process.exit(1);
      isSignalled = true;
      void this.stop();
    };
    const names = ['SIGTERM', 'SIGINT'] as const;
    for (const name of names) process.on(name, signalled);
    // Between two messages nothing else may keep the process.
    const awake = setInterval(() => undefined, AWAKE_MS);
    await this.ended;
    clearInterval(awake);
    for (const name of names) process.off(name, signalled);
    if (this.failure !== undefined) throw this.failure.error;
    if (isSignalled) process.exit(0);
  }

  /** Takes no more messages, lets handlers end within the grace, gives back the rest. */
  stop(): Promise<void> {
    this.stopped ??= this.goDown().finally(this.whenEnded);
    return this.stopped;
  }

  /** Stops because of an error, which `run` throws. */
  fail(error: unknown): void {
    this.log(`cannot go on: ${error instanceof Error ? error.message : String(error)}`);
    this.failure ??= { error };
    void this.stop();
  }

  private receive(): void {
    const { concurrency = 1, queues = [], lease } = this.options;
    this.receivers ??= [undefined, ...queues].map(
      (queue) =>
        new Receiver({
          daemon: this.daemon,
          agentId: this.id,
          queue,
          concurrency,
          lease,
          handle: (message, context) => this.deal(message, context),
          log: this.log,
          fatal: (error) => this.fail(error),
        }),
    );
    for (const receiver of this.receivers) receiver.start();
  }

  private async deal(message: Message, context: HandlerContext): Promise<void> {
    if (this.answers.take(message)) return;
    const handler = this.handlers.get(message.type) ?? this.handlers.get('*');
    if (handler !== undefined) return void (await handler(message, context));
    // What the daemon says need not interest everybody; whoever else is not understood should know.
    if (message.from !== '_daemon') throw new Reject(`${this.id} has no handler for ${message.type}`);
    this.log(`${message.type} of the daemon has no handler: ${JSON.stringify(message.payload)}`);
  }

  private async goDown(): Promise<void> {
    this.stopping.abort(new DaemonError('AGENT_STOPPING', `${this.id} is being stopped`));
    const receiving = (this.receivers ?? []).map((receiver) => receiver.stop());
    const open = [...this.subscriptions].map((subscription) => subscription.close());
    const work = async (): Promise<void> => {
      await Promise.all([...receiving, ...open]);
      for (const ending of this.endings) await ending();
    };
    try {
      const isDone = await within(this.options.graceMs ?? GRACE_MS, work());
      if (!isDone) this.log('is stopped before everything that was begun has ended: what was not comes again');
    } catch (error) {
      this.failure ??= { error };
    }
    this.cut.abort(this.stopping.signal.reason);
    this.beats.stop();
  }
}

/** Under the same key it is one message, however often it is sent. */
const keyed = (message: Outgoing): Outgoing => ({ idempotency_key: crypto.randomUUID(), ...message });

async function within(graceMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), graceMs)));
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
