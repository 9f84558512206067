/** What a reload of the configuration changes: the answer of `POST /reload`. */
export interface ReloadView {
  /** True if nothing was done: this is only the difference. */
  dry_run: boolean;
  config_file: string;
  /** Ids of agents that are new in the file. */
  added: string[];
  changed: ChangedAgent[];
  /** Agents of this file that stand in it no more. */
  removed: string[];
  unchanged: string[];
  /** Agents of the file that belong to somebody else, and are left alone. */
  skipped: { agent_id: string; reason: string }[];
  /** Schedules of the file, by their ids. */
  schedules: {
    added: string[];
    changed: ChangedSchedule[];
    removed: string[];
    skipped: { schedule_id: string; reason: string }[];
  };
  /** Settings of the daemon that are others now. */
  settings: ChangedSetting[];
}

export interface ChangedAgent {
  agent_id: string;
  /** What is other now, such as `command` or `stop.grace`, or the setting it follows from, such as `fault_domains.data`. */
  fields: string[];
  /** Whether a running process of it is replaced; null if that cannot be known before, as its template is out of reach. */
  restarts: boolean | null;
  /** True for one that has been given up: as it is now it is started again. */
  starts: boolean;
}

export interface ChangedSchedule {
  schedule_id: string;
  /** What is other now, such as `cron`; `agent`: what its runs are made from. */
  fields: string[];
}

export interface ChangedSetting {
  /** Such as `ports.api`. */
  setting: string;
  takes_effect: 'now' | 'at the next start';
}

/** The difference as people read it, one line for each agent and setting. */
export function describeReload(view: ReloadView): string {
  const lines = [
    ...view.added.map((agentId) => `  + ${agentId} is new`),
    ...view.changed.map((each) => `  ~ ${each.agent_id}: ${each.fields.join(', ')} (${afterwards(each)})`),
    ...view.removed.map((agentId) => `  - ${agentId} is deleted`),
    ...view.skipped.map(({ agent_id, reason }) => `  ! ${agent_id} is left alone: ${reason}`),
    ...view.schedules.added.map((id) => `  + schedule ${id} is new`),
    ...view.schedules.changed.map(({ schedule_id, fields }) => `  ~ schedule ${schedule_id}: ${fields.join(', ')}`),
    ...view.schedules.removed.map((id) => `  - schedule ${id} is deleted`),
    ...view.schedules.skipped.map(({ schedule_id, reason }) => `  ! schedule ${schedule_id} is left alone: ${reason}`),
    ...view.settings.map(({ setting, takes_effect }) => `  * ${setting} takes effect ${takes_effect}`),
  ];
  const unchanged = `${view.unchanged.length} ${view.unchanged.length === 1 ? 'agent' : 'agents'} unchanged`;
  const head = view.dry_run ? `Reloading ${view.config_file} would change` : `Reloaded ${view.config_file}`;
  if (lines.length === 0) return `${head}${view.dry_run ? ' nothing' : ': nothing has changed'}; ${unchanged}`;
  return [`${head}:`, ...lines, `  ${unchanged}`].join('\n');
}

function afterwards({ restarts, starts }: ChangedAgent): string {
  if (starts) return 'is started again';
  return restarts === null ? 'may restart' : restarts ? 'restarts' : 'without a restart';
}
