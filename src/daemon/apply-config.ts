import { WorkflowExecutionAlreadyStartedError, type Client } from '@temporalio/client';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/config.ts';
import type { AgentInput } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import type { Accepted, CommandArgs } from '../contract/messages.ts';
import { ORCHESTRATOR_QUEUE, WORKFLOW_TYPE, workflowIdOf } from '../contract/names.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import { canonicalJson } from '../trust/canonical-json.ts';

export interface ApplyConfigOptions {
  config: LoadedConfig;
  roster: Roster;
  client: Client;
  sign: (input: AgentInput) => AgentInput;
  log: Logger;
  say: (line: string) => void;
}

/** Name of the fact that tells which file the state directory belongs to. */
const CONFIG_FILE_FACT = 'config_file';
/** How long the others wait for the Master Agent, which is started first. */
const MASTER_FIRST_MS = 10_000;

/**
 * Brings the agents of the configuration file into being: adds what is missing, tells what has changed, removes nothing.
 * The Master Agent comes first.
 * @throws CodedError CONFIG_OTHER_FILE if the agents in this state directory come from another file
 */
export async function applyConfig(options: ApplyConfigOptions): Promise<void> {
  const { config, roster } = options;
  await refuseOtherFile(options);
  await roster.setFact(CONFIG_FILE_FACT, config.file);
  const [master, ...others] = config.agents;
  if (!master) return;
  await applyAgent(options, master);
  if (others.length > 0 && config.master !== null) await untilUp(roster, master.agent_id);
  await Promise.all(others.map((agent) => applyAgent(options, agent)));
}

async function refuseOtherFile({ config, roster }: ApplyConfigOptions): Promise<void> {
  const recorded = await roster.getFact(CONFIG_FILE_FACT);
  if (recorded === undefined || recorded === config.file) return;
  const kept = (await roster.list()).filter((row) => row.decision.input.origin === `file ${recorded}`);
  if (kept.length === 0) return;
  const names = kept.map((row) => row.agent_id).join(', ');
  const message = `This state directory holds agents of ${recorded} (${names}), and the configuration is ${config.file}`;
  throw new CodedError('CONFIG_OTHER_FILE', message, { recorded, given: config.file });
}

async function applyAgent({ roster, client, sign, log }: ApplyConfigOptions, input: AgentInput): Promise<void> {
  const agentId = input.agent_id;
  const row = await roster.get(agentId);
  const signed = sign(input);
  if (!row) return startLife(client, signed);
  const known = row.decision.input;
  if (known.origin !== input.origin) {
    log.warn(
      { agent_id: agentId, origin: known.origin },
      'an agent of this name exists from elsewhere; the file does not touch it',
    );
    return;
  }
  if (isSame(known, input)) return;
  const args: CommandArgs['configure'] = { spec: signed };
  await client.workflow
    .getHandle(workflowIdOf(agentId))
    .executeUpdate<Accepted, [CommandArgs['configure']]>('configure', { args: [args] });
  log.info({ agent_id: agentId }, 'the definition in the file has changed');
}

async function startLife(client: Client, input: AgentInput): Promise<void> {
  try {
    await client.workflow.start(WORKFLOW_TYPE, {
      workflowId: workflowIdOf(input.agent_id),
      taskQueue: ORCHESTRATOR_QUEUE,
      args: [input],
      staticSummary: (input.template_id ?? input.command?.join(' ') ?? 'agent').slice(0, 130),
    });
  } catch (error) {
    // The roster does not know it (yet), Temporal does: it will publish itself.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}

/** What the daemon added on its way does not count. */
function isSame(known: AgentInput, given: AgentInput): boolean {
  const bare = ({ signature: _s, restore: _r, request_id: _q, ...fields }: AgentInput): string => canonicalJson(fields);
  return bare(known) === bare(given);
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
