/** The composition root: puts the parts together in the order in which they need each other, and takes them apart again. */
import { Connection } from '@temporalio/client';
import { NativeConnection, Runtime } from '@temporalio/worker';
import { openSqliteRoster } from '../adapters/sqlite/roster.ts';
import type { FailStopRequest } from '../contract/activities.ts';
import type { DaemonFacts, DaemonPhase, PortName } from '../contract/daemon-view.ts';
import { CodedError } from '../contract/errors.ts';
import type { ReloadView } from '../contract/reload-view.ts';
import { CustodyLink } from '../host/custody-link.ts';
import { holdCustodian } from './hold-custodian.ts';
import { failpoint } from '../host/failpoint.ts';
import type { LogSource } from '../ports/log-source.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import { AgentWorkflows } from '../service/agent-workflows.ts';
import { loadKeys, type Keys } from '../trust/keys.ts';
import { signInput } from '../trust/signature.ts';
import { tellKeeper } from './background.ts';
import { Configuration } from './configuration/configuration.ts';
import { tellSettings } from './custodian-settings.ts';
import type { DaemonEnd, DaemonOptions } from './daemon-options.ts';
import { assemble } from './assembly/assemble.ts';
import { assertPortFree } from './free-port.ts';
import { temporalLogging } from './temporal/logging.ts';
import type { Parts } from './assembly/parts.ts';
import { Phases } from './phases.ts';
import type { FailStop } from './state-dir.ts';
import { ScheduleChanges } from './configuration/schedule-changes.ts';
import { messagingConfig } from './assembly/messaging-parts.ts';
import { openMessageStores, type MessageStores } from './assembly/message-stores.ts';
import { takeDown, undoStart, type Standing } from './take-down.ts';
import { openTemporal, type OpenTemporal } from './temporal/temporal.ts';

/** How long to wait before a channel that has failed is tried again; gRPC's own maximum is two minutes. */
const CHANNEL = { 'grpc.initial_reconnect_backoff_ms': 500, 'grpc.max_reconnect_backoff_ms': 2_000 };
/** For one call to Temporal while the configuration is applied. */
const CALL_MS = 15_000;

interface StartOptions {
  onFleet: (roster: Roster, logs: LogSource) => void;
  /** The last fail-stop has been looked into. */
  clearFailStop: boolean;
}

export class Daemon {
  private readonly options: DaemonOptions;
  private readonly startedAt = new Date().toISOString();
  private readonly hostId: string;
  private readonly custody: CustodyLink;
  private readonly abort = new AbortController();
  private readonly phases: Phases;
  private tree: DaemonFacts['tree'] = 'best-effort';
  private ports: Partial<Record<PortName, number>> = {};
  private parts: Parts | undefined;
  private temporal: OpenTemporal | undefined;
  private roster: Roster | undefined;
  private stores: MessageStores | undefined;
  private settleEnd: (end: DaemonEnd) => void = () => undefined;
  private starting: Promise<void> = Promise.resolve();
  /** Shutdown only: whether the agents run on. */
  keepsAgents = false;
  private failStopReason: string | undefined;
  private failStopTold: Promise<void> | undefined;
  private isUndoing = false;
  private cleared: FailStop | undefined;
  /** Resolves when everything is down. */
  readonly ended = new Promise<DaemonEnd>((resolve) => (this.settleEnd = resolve));

  constructor(options: DaemonOptions) {
    this.options = options;
    this.phases = new Phases((mark) => options.log.info(mark, `phase ${mark.phase}`));
    this.hostId = options.stateDir.hostId();
    this.custody = new CustodyLink({
      connect: () => this.connectCustodian(),
      onExit: (exit) => {
        this.temporal?.embedded?.noteExit(exit);
        this.parts?.host.onExit(exit);
      },
      onStuck: (stuck) => {
        options.log.warn(stuck, 'a process cannot be killed');
        this.parts?.host.onStuck(stuck);
        this.parts?.incidents.stalled(stuck);
      },
      onReconnected: async () => {
        await this.temporal?.embedded?.check();
        await this.syncHost();
        await tellKeeper(this.custody, this.phases.current);
        await tellSettings(this.custody, this.parts?.configuration.current ?? options.config);
      },
      onTrouble: (message, error) => options.log.warn({ err: error }, message),
    });
  }

  facts(): DaemonFacts {
    const { config, stateDir, version } = this.options;
    const { address = '', namespace = '', embedded } = this.temporal ?? {};
    return {
      version,
      pid: process.pid,
      phase: this.phases.current,
      phases: this.phases.marks,
      started_at: this.startedAt,
      host: this.hostId,
      home: stateDir.path,
      config_file: config.file,
      ports: this.ports,
      temporal: {
        address,
        namespace,
        embedded: embedded !== undefined,
        other_hosts: this.parts?.otherDaemons.hosts ?? [],
      },
      plugins: this.stores?.facts() ?? null,
      tree: this.tree,
    };
  }

  /** All agents, as the roster has them. */
  async rows(): Promise<RosterRow[]> {
    return (await this.parts?.roster.list()) ?? [];
  }

  /** @throws CodedError; then nothing runs that did not run before */
  async start(options: StartOptions): Promise<void> {
    await this.custody.open();
    await tellSettings(this.custody, this.options.config);
    try {
      this.enter('start');
      this.starting = this.startParts(options);
      await this.starting;
    } catch (error) {
      // The daemon was asked to stop meanwhile, and is stopping: that is no failure.
      if (this.phases.current === 'shutdown') return this.trouble('The start was broken off', error);
      await this.undoStart();
      throw error;
    }
    if (this.phases.current === 'shutdown') return;
    this.enter('run');
    this.phases.enter('supervise');
  }

  /** Ends in order: agents, then what carries them. Resolves `ended`. */
  shutdown(options: { keepAgents: boolean }): void {
    // A start that failed ends by itself, and leaves the agents alone.
    if (this.phases.current === 'shutdown' || this.isUndoing) return;
    this.keepsAgents = options.keepAgents;
    this.enter('shutdown');
    void this.end();
  }

  private async end(): Promise<void> {
    let trouble: string | undefined;
    // What is being started cannot be taken down yet.
    await this.starting.catch(() => undefined);
    try {
      const { master } = this.parts?.configuration.current ?? this.options.config;
      const { say } = this.options;
      const told = this.failStopTold;
      await takeDown(this.standing, {
        agents: this.keepsAgents ? 'keep' : 'stop',
        master,
        say,
        told,
        letGo: () => this.abort.abort(),
      });
    } catch (error) {
      this.trouble('The shutdown did not go in order', error);
      trouble = (error as Error).message;
    }
    this.options.stateDir.removeDaemonFile();
    const reason = this.failStopReason;
    if (reason !== undefined) this.settleEnd({ kind: 'fail-stop', reason });
    else this.settleEnd(trouble === undefined ? { kind: 'stopped' } : { kind: 'failed', reason: trouble });
  }

  /** Reads the configuration file again. @throws CodedError: then nothing has been changed */
  async reload(options: { dryRun: boolean }): Promise<ReloadView> {
    if (!this.parts || this.phases.current !== 'run')
      throw new CodedError('NOT_READY', `The daemon cannot reload its configuration in phase ${this.phases.current}`);
    return this.parts.configuration.reload(options);
  }

  /** Shortens a shutdown that is under way: no grace any more. None that lets the agents run on. */
  async force(): Promise<void> {
    if (this.keepsAgents) return;
    await this.custody.callUntilAnswered('shutdown', { waves: [], grace_ms: 0 });
  }

  /** Restarts the agents whose failure caused the fail-stop; one that is gone or refused does not block the others. */
  async forgiveFailStop(): Promise<void> {
    const { cleared, parts, options } = this;
    if (!cleared || !parts) return;
    const call = { caller: { kind: 'admin' }, request_id: 'clear-failstop' } as const;
    const agents = new Set([cleared, ...(cleared.also ?? [])].map(({ agent_id }) => agent_id));
    await Promise.all(
      [...agents].map(async (agentId) => {
        try {
          await parts.orchestrator.command(call, 'start', agentId);
        } catch (error) {
          const why = `The fail-stop is cleared, but ${agentId} is not started again`;
          this.trouble(why, error);
          options.say(`WARNING: ${why}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }),
    );
  }

  // ── going up ──────────────────────────────────────────────────────────────────────────────────────────────────

  private async startParts({ onFleet, clearFailStop }: StartOptions): Promise<void> {
    const { config, stateDir, log, env, say } = this.options;
    for (const name of ['api', 'health', 'metrics'] as const)
      await assertPortFree(config.ports[name], `the ${name} port`);

    const { custody } = this;
    const { temporal: wanted, ports } = config;
    const warn = (message: string): void => this.trouble(message, undefined);
    const opening = [
      loadKeys(stateDir.path),
      openSqliteRoster(stateDir.file('roster.db'), { warn }).then((it) => (this.roster = it)),
      openTemporal({ config: wanted, ports, custody, stateDir, log, env, say }).then((it) => (this.temporal = it)),
      openMessageStores(config, stateDir, log).then((it) => (this.stores = it)),
    ] as const;
    // If one fails, what the others opened must be closed again, or the process never ends.
    await Promise.allSettled(opening);
    const [keys, roster, temporal, stores] = await Promise.all(opening);
    this.checkGoesOn();
    const configuration = this.configurationOf(keys, roster);
    await configuration.check();
    Runtime.install({ shutdownSignals: [], ...temporalLogging(log) });
    const connection = Connection.lazy({ ...temporal.connection, channelArgs: CHANNEL });
    const native = await NativeConnection.connect(temporal.connection);
    this.parts = await assemble({
      daemon: this,
      hostId: this.hostId,
      custody: this.custody,
      ending: this.abort.signal,
      apiUrl: () => `http://127.0.0.1:${this.ports.api}`,
      failStop: (request) => this.failStop(request),
      trouble: (message, error) => this.trouble(message, error),
      warn: (message) => {
        warn(message);
        say(`WARNING: ${message}`);
      },
      stateDir,
      log,
      env,
      keys,
      roster,
      stores,
      configuration,
      temporal,
      connection,
      native,
    });

    const {
      http,
      fleet,
      host,
      workers,
      orders,
      reconciler,
      watch,
      otherDaemons,
      messaging,
      snapshots,
      runs,
      incidents,
    } = this.parts;
    onFleet(roster, this.parts.logs);
    // From the first probe on, and some are made only when others run.
    fleet.expectCritical(await configuration.criticalAgents());
    await messaging.open();
    this.ports = { ...(await http.listen(config.ports)), ...temporal.ports };
    this.writeDaemonFile();
    host.startWatching();
    await this.syncHost();
    await snapshots.sweep((agentId, generation) => host.isLive(agentId, generation));
    await orders.all();
    await otherDaemons.look();
    this.checkGoesOn();
    // Before a workflow can ask for the next.
    if (clearFailStop) this.cleared = stateDir.clearFailStop();
    await runs.answers.start();
    for (const worker of Object.values(workers)) worker.start();
    await configuration.apply(
      new AgentWorkflows(this.parts.client, watch, CALL_MS),
      new ScheduleChanges({ temporal: runs.temporalSchedules, sign: configuration.sign, log }),
      say,
    );
    await messaging.begin();
    reconciler.start();
    watch.start();
    otherDaemons.start();
    runs.scheduleWatch.start();
    incidents.upkeep.start();
    runs.upkeep.start();
  }

  private checkGoesOn(): void {
    if (this.phases.current === 'shutdown') throw new Error('The daemon was told to end');
  }

  private configurationOf({ key }: Keys, roster: Roster): Configuration {
    const { config, switchConfig, stateDir, env, log } = this.options;
    return new Configuration({
      config,
      switchConfig,
      key,
      env,
      roster,
      sign: (input) => signInput(input, key),
      templateCache: stateDir.file('templates'),
      log,
      onUse: async (used) => {
        await this.parts?.messaging.use(messagingConfig(used));
        this.parts?.incidents.use(used);
        void tellSettings(this.custody, used);
      },
    });
  }

  private async connectCustodian() {
    const { stateDir, version } = this.options;
    const client = await holdCustodian(stateDir.path, version);
    this.tree = client.hello.tree;
    return client;
  }

  private async syncHost(): Promise<void> {
    const { host, fleet } = this.parts ?? {};
    if (!host || !fleet) return;
    await host.sync((agentId) => fleet.get(agentId)?.decision.snapshot.handled ?? 0);
  }

  private async failStop(request: FailStopRequest): Promise<void> {
    const { log, say, stateDir } = this.options;
    const { agent_id, reason } = request;
    if (stateDir.hasFailStopped(request)) return log.info({ agent_id, reason }, 'this fail-stop has been carried out');
    log.fatal({ agent_id, reason }, 'fail-stop');
    say(`FAIL-STOP because of ${agent_id}: ${reason}`);
    this.failStopReason ??= reason;
    // The incident cannot go on while the daemon is down: people hear of it before.
    this.failStopTold ??= this.parts?.incidents.failStopTold(agent_id);
    // After the activity has been completed: the shutdown waits for it. On a full disk it fails, and is made again at the
    // next start, which then ends the same way.
    setImmediate(() => this.shutdown({ keepAgents: false }));
    stateDir.addFailStop({ ...request, at: new Date().toISOString() });
    failpoint('daemon.in-fail-stop');
  }

  // ── going down ────────────────────────────────────────────────────────────────────────────────────────────────

  private get standing(): Standing {
    const { custody, parts, temporal, roster, stores } = this;
    return { custody, parts, temporal, roster, stores, trouble: (message, error) => this.trouble(message, error) };
  }

  private async undoStart(): Promise<void> {
    this.isUndoing = true;
    try {
      this.options.stateDir.removeDaemonFile();
      await undoStart(this.standing, () => this.abort.abort());
    } catch (error) {
      this.trouble('The start could not be undone', error);
    }
  }

  private enter(phase: DaemonPhase): void {
    this.phases.enter(phase);
    try {
      this.writeDaemonFile();
    } catch (error) {
      if (phase === 'start') throw error;
      // A full disk must not keep it from stopping.
      this.trouble('The file that tells where the daemon is cannot be written', error);
    }
    void tellKeeper(this.custody, phase);
  }

  /** Only who holds the custodian may: else it would hide the daemon that does. */
  private writeDaemonFile(): void {
    const { stateDir, version, config } = this.options;
    const { current: phase } = this.phases;
    stateDir.writeDaemonFile({ pid: process.pid, version, phase, ports: this.ports, config_file: config.file });
  }

  private trouble(message: string, error: unknown): void {
    this.options.log.warn({ err: error }, message);
  }
}
