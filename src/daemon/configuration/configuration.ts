import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../../config/config.ts';
import { loadConfig } from '../../config/load-config.ts';
import type { AgentInput } from '../../contract/agent-input.ts';
import { CodedError } from '../../contract/errors.ts';
import type { ReloadView } from '../../contract/reload-view.ts';
import type { Roster } from '../../ports/roster.ts';
import type { AgentWorkflows } from '../../service/agent-workflows.ts';
import { AgentChanges } from './agent-changes.ts';
import { applyConfig, takenOverFile } from './apply-config.ts';
import { Definitions, type DefinitionSettings } from './definitions.ts';
import { DesignLayer } from './design-layer.ts';
import { reload } from './reload.ts';
import type { ScheduleChanges } from './schedule-changes.ts';

/** How long to wait for a template that says its agent's fault domain, before the agent is created. */
const TEMPLATE_MS = 500;

export interface ConfigurationOptions {
  config: LoadedConfig;
  key: Uint8Array;
  env: NodeJS.ProcessEnv;
  roster: Roster;
  sign: (input: AgentInput) => AgentInput;
  /** Folder for copies of templates that come from a service. */
  templateCache: string;
  /** Whether this file may take over the agents of another one. */
  switchConfig: boolean;
  log: Logger;
  /** Told of each configuration that counts from now on. */
  onUse: (config: LoadedConfig) => Promise<void>;
}

/** The configuration that counts, and how it becomes another one while the daemon runs. */
export class Configuration {
  readonly definitions: Definitions;
  /** The input with its signature. */
  readonly sign: (input: AgentInput) => AgentInput;
  readonly designLayer: DesignLayer;
  private readonly options: ConfigurationOptions;
  private config: LoadedConfig;
  private changes: { agents: AgentChanges; schedules: ScheduleChanges } | undefined;
  /** One reload after the other. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(options: ConfigurationOptions) {
    this.options = options;
    this.config = options.config;
    this.sign = options.sign;
    const { templateCache, log } = options;
    this.designLayer = new DesignLayer(options.config.designLayer, { cacheFolder: templateCache, log });
    this.definitions = new Definitions(options.key, this.settingsOf(options.config));
  }

  get current(): LoadedConfig {
    return this.config;
  }

  /** Before anything is started. @throws CodedError CONFIG_OTHER_FILE */
  async check(): Promise<void> {
    const { roster, switchConfig } = this.options;
    await takenOverFile({ config: this.config, roster, switchConfig }, await roster.list());
  }

  /**
   * Agents of the file whose failure ends the fleet. The file says so of most; a template is asked as long as it answers
   * at once: a reader who wants to know how the agents are should not have to wait.
   */
  async criticalAgents(): Promise<string[]> {
    const domainOf = async (input: AgentInput): Promise<string | undefined> => {
      if (input.fault_domain !== undefined || input.template_id === undefined) return input.fault_domain;
      const definition = this.definitions.admit(input).catch(() => undefined);
      return (await Promise.race([definition, delay(TEMPLATE_MS, undefined, { ref: false })]))?.fault_domain;
    };
    const { agents, faultDomains } = this.config;
    const domains = await Promise.all(agents.map(domainOf));
    return agents
      .filter((_, place) => faultDomains[domains[place] ?? 'default']?.onGiveUp === 'fail-stop')
      .map(({ agent_id }) => agent_id);
  }

  /** Brings the agents of the file, and their schedules, into being. */
  async apply(workflows: AgentWorkflows, schedules: ScheduleChanges, say: (line: string) => void): Promise<void> {
    const { roster, sign, log, switchConfig } = this.options;
    const agents = new AgentChanges(workflows, sign, roster);
    const takenOver = await takenOverFile({ config: this.config, roster, switchConfig }, await roster.list());
    await applyConfig({ config: this.config, switchConfig, roster, changes: agents, log, say });
    const plan = await schedules.plan(this.config, this.definitions, takenOver);
    await schedules.apply(plan, { removes: takenOver !== undefined });
    this.changes = { agents, schedules };
  }

  /** @throws CodedError: then nothing has been changed; see `reload` */
  reload({ dryRun }: { dryRun: boolean }): Promise<ReloadView> {
    const next = this.last.catch(() => undefined).then(() => this.reloadNow(dryRun));
    this.last = next;
    return next;
  }

  private async reloadNow(dryRun: boolean): Promise<ReloadView> {
    const { env, key, roster, log, onUse } = this.options;
    if (this.changes === undefined)
      throw new CodedError('NOT_READY', 'The configuration is still being applied for the first time');
    return reload({
      current: this.config,
      now: this.definitions,
      read: () => loadConfig(this.config.file, env),
      under: (config) => new Definitions(key, this.settingsOf(config)),
      use: async (config) => {
        await onUse(config);
        this.config = config;
        this.designLayer.use(config.designLayer);
        this.definitions.use(this.settingsOf(config));
      },
      roster,
      changes: this.changes.agents,
      schedules: this.changes.schedules,
      log,
      dryRun,
    });
  }

  private settingsOf(config: LoadedConfig): DefinitionSettings {
    const { faultDomains, defaults, dir, temporal } = config;
    const templates = this.designLayer.sourceOf(config.designLayer);
    return { templates, faultDomains, defaults, baseDir: dir, requireSigned: temporal.requireSigned };
  }
}
