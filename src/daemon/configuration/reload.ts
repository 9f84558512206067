import type { Logger } from 'pino';
import { differingSettings, isSame } from '../../config/config-difference.ts';
import type { LoadedConfig } from '../../config/config.ts';
import type { AgentInput } from '../../contract/agent-input.ts';
import type { Definition } from '../../contract/definition.ts';
import { CodedError, codeOf, ERRORS } from '../../contract/errors.ts';
import type { ChangedAgent, ReloadView } from '../../contract/reload-view.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import { type AgentChanges, isGivenUp } from './agent-changes.ts';
import { planConfig, type ConfigPlan } from './config-plan.ts';
import type { Definitions } from './definitions.ts';
import type { ScheduleChanges } from './schedule-changes.ts';

export interface ReloadOptions {
  current: LoadedConfig;
  /** The definitions as they are made now. */
  now: Definitions;
  /** The file as it stands, checked. @throws CodedError CONFIG_INVALID, CONFIG_NOT_FOUND */
  read: () => Promise<LoadedConfig>;
  /** Definitions as they would be made under a configuration. */
  under: (config: LoadedConfig) => Definitions;
  /** From now on this configuration counts. */
  use: (config: LoadedConfig) => Promise<void>;
  roster: Roster;
  changes: AgentChanges;
  schedules: ScheduleChanges;
  log: Logger;
  dryRun: boolean;
}

/**
 * Reads the configuration file again and makes the agents of that file what it says. All that can be found wrong is found
 * before anything is changed.
 *
 * @throws CodedError CONFIG_INVALID, CONFIG_NOT_FOUND, TEMPORAL_UNAVAILABLE: then nothing has been changed
 */
export async function reload(options: ReloadOptions): Promise<ReloadView> {
  const { roster, changes, log, dryRun } = options;
  const config = await options.read();
  const rows = await roster.list();
  const plan = planConfig(config, rows);
  const definitions = options.under(config);
  const settings = differingSettings(options.current, config);
  const { admitted, changed } = await preview(options, definitions, plan);
  const followers = await followersOf(options.now, definitions, settings, othersThan(plan, rows));
  const schedules = await options.schedules.plan(config, definitions);
  const isFollower = new Set(followers.map(({ agent_id }) => agent_id));
  const view: ReloadView = {
    dry_run: dryRun,
    config_file: config.file,
    added: admitted,
    changed: [...changed, ...followers].toSorted((a, b) => (a.agent_id < b.agent_id ? -1 : 1)),
    removed: plan.removed.map((row) => row.agent_id),
    unchanged: plan.unchanged.map((row) => row.agent_id).filter((agentId) => !isFollower.has(agentId)),
    skipped: plan.skipped,
    schedules: {
      added: schedules.added.map(({ schedule }) => schedule.schedule_id),
      changed: schedules.changed.map(({ schedule_id, fields }) => ({ schedule_id, fields })),
      removed: schedules.removed,
      skipped: schedules.skipped,
    },
    settings,
  };
  if (dryRun) return view;

  changes.check('reload the configuration');
  await options.use(config);
  log.info({ ...view }, 'the configuration has been reloaded');
  await Promise.all(plan.removed.map((row) => changes.remove(row.agent_id)));
  const master = (agentId: string): boolean => agentId === config.master;
  // The Master Agent first: it may have to start others.
  for (const wanted of [master, (agentId: string) => !master(agentId)]) {
    await Promise.all([
      ...plan.added.filter((input) => wanted(input.agent_id)).map((input) => changes.add(input)),
      ...plan.changed.filter(({ row }) => wanted(row.agent_id)).map(({ input, row }) => changes.configure(input, row)),
      ...rows.filter((row) => isFollower.has(row.agent_id) && wanted(row.agent_id)).map((row) => changes.readmit(row)),
    ]);
  }
  await options.schedules.apply(schedules, { removes: true });
  return view;
}

/** Puts every new and changed agent together with its template, without doing anything. */
async function preview(
  { now }: ReloadOptions,
  definitions: Definitions,
  plan: ConfigPlan,
): Promise<{ admitted: string[]; changed: ChangedAgent[] }> {
  const changed: ChangedAgent[] = [];
  for (const input of plan.added) await admit(definitions, input);
  for (const { input, row, fields } of plan.changed) {
    const after = await admit(definitions, input);
    const before = await admitQuietly(now, row.decision.input);
    changed.push({ agent_id: row.agent_id, fields, restarts: restarts(row, before, after), starts: isGivenUp(row) });
  }
  return { admitted: plan.added.map((input) => input.agent_id), changed };
}

/** @returns undefined if the template is out of reach for the moment: then the agent itself will wait for it */
async function admit(definitions: Definitions, input: AgentInput): Promise<Definition | undefined> {
  try {
    return await definitions.admit(input);
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    if (ERRORS[code].retryable) return undefined;
    const message = `agents.${input.agent_id}: ${(error as Error).message}; nothing has been changed`;
    throw new CodedError('CONFIG_INVALID', message, { field: `agents.${input.agent_id}`, cause: code }, error);
  }
}

const admitQuietly = (definitions: Definitions, input: AgentInput): Promise<Definition | undefined> =>
  definitions.admit(input).catch(() => undefined);

function restarts(row: RosterRow, before: Definition | undefined, after: Definition | undefined): boolean | null {
  if (row.decision.desired !== 'running' || !row.process || row.process.pid === null) return false;
  if (after === undefined) return null;
  if (before === undefined) return true;
  return (
    before.rules.launchDigest !== after.rules.launchDigest || row.decision.template_version !== after.template_version
  );
}

const othersThan = (plan: ConfigPlan, rows: RosterRow[]): RosterRow[] => {
  const touched = new Set([...plan.changed.map(({ row }) => row.agent_id), ...plan.removed.map((row) => row.agent_id)]);
  return rows.filter((row) => !touched.has(row.agent_id) && row.decision.desired !== 'deleted');
};

/** Agents whose own description is unchanged, but whose definition depends on a setting that has changed. */
async function followersOf(
  now: Definitions,
  later: Definitions,
  settings: ReloadView['settings'],
  rows: RosterRow[],
): Promise<ChangedAgent[]> {
  const names = new Set(settings.map(({ setting }) => setting));
  if (![...names].some((name) => /^(fault_domains\.|defaults\.|design_layer)/.test(name))) return [];
  const followers: ChangedAgent[] = [];
  for (const row of rows) {
    const { input } = row.decision;
    const [before, after] = [await admitQuietly(now, input), await admitQuietly(later, input)];
    // What cannot be put together any more is not touched: its process runs on as it is.
    if (after === undefined || before === undefined) continue;
    const fields = [
      ...(isSame(before.rules.restart, after.rules.restart) ? [] : [`fault_domains.${after.fault_domain}`]),
      ...(isSame(before.rules.stop, after.rules.stop) ? [] : ['defaults.stop']),
      ...(before.rules.launchDigest === after.rules.launchDigest ? [] : ['design_layer']),
    ].map((name) => (names.has(name) ? name : 'design_layer'));
    if (fields.length === 0) continue;
    const replaced = restarts(row, before, after);
    followers.push({ agent_id: row.agent_id, fields: [...new Set(fields)], restarts: replaced, starts: false });
  }
  return followers;
}
