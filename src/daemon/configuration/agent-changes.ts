import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInput } from '../../contract/agent-input.ts';
import { codeOf } from '../../contract/errors.ts';
import { isAtRest } from '../../domain/agent-state.ts';
import type { Roster, RosterRow } from '../../ports/roster.ts';
import type { AgentWorkflows } from '../../service/agent-workflows.ts';

const BUSY_TRIES = 20;
const BUSY_MS = 250;

/** The agent should run, and does not: its change is worth another try. */
export const isGivenUp = ({ decision }: RosterRow): boolean =>
  decision.phase.kind === 'disabled' && decision.desired === 'running';

/** Makes the agents what the configuration says, one at a time; each change is accepted, and comes about by itself. */
export class AgentChanges {
  private readonly workflows: AgentWorkflows;
  private readonly sign: (input: AgentInput) => AgentInput;
  private readonly roster: Pick<Roster, 'get'>;

  constructor(workflows: AgentWorkflows, sign: (input: AgentInput) => AgentInput, roster: Pick<Roster, 'get'>) {
    this.workflows = workflows;
    this.sign = sign;
    this.roster = roster;
  }

  /** @throws CodedError TEMPORAL_UNAVAILABLE without a change while Temporal is known to be away */
  check(what: string): void {
    this.workflows.checkReachable(what);
  }

  async add(input: AgentInput): Promise<void> {
    try {
      await this.workflows.start(this.sign(input));
    } catch (error) {
      // The roster does not know it (yet), Temporal does: it will publish itself.
      if (codeOf(error) !== 'AGENT_EXISTS') throw error;
    }
  }

  async configure(input: AgentInput, row: RosterRow): Promise<void> {
    await this.whenFree(row, async (now) => {
      const { decision, agent_id } = now;
      // A run that is under way keeps its task.
      const { run } = decision.input;
      const spec = run === undefined || isAtRest(decision.phase) ? input : { ...input, run };
      try {
        await this.workflows.command(agent_id, 'configure', { spec: this.sign(spec) });
        // What could not be started as it was is given another try as it is.
        if (isGivenUp(now)) await this.workflows.command(agent_id, 'start', {});
      } catch (error) {
        if (codeOf(error) !== 'AGENT_NOT_FOUND') throw error;
        // Its workflow was lost: made again from what the roster remembers, with what the file says now.
        await this.add({ ...spec, restore: decision.snapshot });
      }
    });
  }

  /** Has an agent checked again whose own description is unchanged: a setting that it depends on has changed. */
  async readmit(row: RosterRow): Promise<void> {
    await this.whenFree(row, async ({ agent_id, decision }) => {
      await this.workflows.command(agent_id, 'configure', { spec: decision.input });
    });
  }

  /** A run may have begun, or ended, since its row was read: it is read again, and may be a moment behind. */
  private async whenFree(row: RosterRow, change: (now: RosterRow) => Promise<void>): Promise<void> {
    let now = row;
    for (let tries = 1; ; tries += 1) {
      try {
        await change(now);
        return;
      } catch (error) {
        if (codeOf(error) !== 'AGENT_BUSY' || tries === BUSY_TRIES) throw error;
        await delay(BUSY_MS);
        now = (await this.roster.get(row.agent_id)) ?? now;
      }
    }
  }

  async remove(agentId: string): Promise<void> {
    if (await this.hasBeenToldToDelete(agentId)) return;
    const row = await this.roster.get(agentId);
    if (row === undefined) return; // it has been deleted meanwhile
    // Its workflow was lost: reconciliation would re-create it from its row, and the agent would stay.
    const { input, snapshot } = row.decision;
    await this.add({ ...input, restore: { ...snapshot, desired: 'deleted' } });
    await this.hasBeenToldToDelete(agentId);
  }

  /** @returns false if no such workflow is open */
  private async hasBeenToldToDelete(agentId: string): Promise<boolean> {
    try {
      await this.workflows.command(agentId, 'delete', {});
      return true;
    } catch (error) {
      if (codeOf(error) !== 'AGENT_NOT_FOUND') throw error;
      return false;
    }
  }
}
