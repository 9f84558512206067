import type { Logger } from 'pino';
import type { LoadedConfig } from '../../config/config.ts';
import { CodedError } from '../../contract/errors.ts';
import { failpoint } from '../../host/failpoint.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import type { AgentChanges } from './agent-changes.ts';
import { originOf, planConfig } from './config-plan.ts';

export interface ApplyConfigOptions {
  config: LoadedConfig;
  /** Whether this file may take over the agents of another one. */
  switchConfig: boolean;
  roster: Roster;
  changes: AgentChanges;
  log: Logger;
  say: (line: string) => void;
}

/** Name of the fact that tells which file the state directory belongs to. */
const CONFIG_FILE_FACT = 'config_file';
/** How long the others wait for the Master Agent, which is started first. */
const MASTER_FIRST_MS = 10_000;

/**
 * Brings the agents of the configuration file into being: adds what is missing, tells what has changed, removes nothing,
 * unless it takes over from another file. The Master Agent comes first.
 * @throws CodedError CONFIG_OTHER_FILE if the agents in this state directory come from another file
 */
export async function applyConfig(options: ApplyConfigOptions): Promise<void> {
  const { config, roster, changes, log, say } = options;
  const rows = await roster.list();
  const takenOver = await takenOverFile(options, rows);
  if (takenOver === undefined) await roster.setFact(CONFIG_FILE_FACT, config.file);
  const plan = planConfig(config, rows, takenOver);
  for (const { agent_id, reason } of plan.skipped) log.warn({ agent_id, reason }, 'the file does not touch an agent');

  const isMaster = (agentId: string): boolean => agentId === config.master;
  const apply = async (wanted: (agentId: string) => boolean): Promise<void> => {
    await Promise.all([
      ...plan.added
        .filter((input) => wanted(input.agent_id))
        .map(async (input) => {
          await changes.add(input);
          failpoint('daemon.in-apply-config');
        }),
      ...plan.changed
        .filter(({ row }) => wanted(row.agent_id))
        .map(async ({ input, row, fields }) => {
          await changes.configure(input, row);
          log.info({ agent_id: row.agent_id, fields }, 'the definition in the file has changed');
        }),
    ]);
  };
  await apply(isMaster);
  if (config.master !== null && config.agents.length > 1) await untilUp(roster, config.master);
  await apply((agentId) => !isMaster(agentId));

  if (takenOver === undefined) return;
  await Promise.all(plan.removed.map((row) => changes.remove(row.agent_id)));
  await roster.setFact(CONFIG_FILE_FACT, config.file);
  const gone = plan.removed.length === 0 ? '' : `; deleted: ${plan.removed.map((row) => row.agent_id).join(', ')}`;
  say(`The agents of ${takenOver} now follow ${config.file}${gone}`);
}

/**
 * The file whose agents this one takes over, if it is another.
 * @throws CodedError CONFIG_OTHER_FILE if it may not
 */
export async function takenOverFile(
  { config, roster, switchConfig }: Pick<ApplyConfigOptions, 'config' | 'roster' | 'switchConfig'>,
  rows: RosterRow[],
): Promise<string | undefined> {
  const recorded = await roster.getFact(CONFIG_FILE_FACT);
  if (recorded === undefined || recorded === config.file) return undefined;
  const kept = rows.filter((row) => row.decision.input.origin === originOf(recorded));
  if (kept.length === 0) return undefined;
  if (switchConfig) return recorded;
  const names = kept.map((row) => row.agent_id).join(', ');
  const message = `This state directory holds agents of ${recorded} (${names}), and the configuration is ${config.file}`;
  throw new CodedError('CONFIG_OTHER_FILE', message, { recorded, given: config.file });
}

async function untilUp(roster: Roster, agentId: string): Promise<void> {
  const isUp = (row: RosterRow | undefined): boolean =>
    row?.process?.pid != null || row?.decision.desired === 'stopped';
  if (isUp(await roster.get(agentId))) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(finish, MASTER_FIRST_MS);
    const unsubscribe = roster.subscribe((change) => {
      if (change.kind === 'row' && change.row.agent_id === agentId && isUp(change.row)) finish();
    });
    function finish(): void {
      clearTimeout(timer);
      unsubscribe();
      resolve();
    }
  });
}
