import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInput } from '../../contract/agent-input.ts';
import { codeOf } from '../../contract/errors.ts';
import type { RosterRow } from '../../ports/roster.ts';
import type { AgentWorkflows } from '../../service/agent-workflows.ts';

const AT_REST: ReadonlySet<string> = new Set(['stopped', 'completed', 'disabled']);
const BUSY_TRIES = 20;
const BUSY_MS = 250;

/** It should run, and does not: what has been changed of it is worth another try. */
export const isGivenUp = ({ decision }: RosterRow): boolean =>
  decision.phase.kind === 'disabled' && decision.desired === 'running';

/** Makes the agents what the configuration says, one at a time; each change is accepted, and comes about by itself. */
export class AgentChanges {
  private readonly workflows: AgentWorkflows;
  private readonly sign: (input: AgentInput) => AgentInput;

  constructor(workflows: AgentWorkflows, sign: (input: AgentInput) => AgentInput) {
    this.workflows = workflows;
    this.sign = sign;
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
    const { decision, agent_id } = row;
    // A run that is under way keeps its task.
    const { run } = decision.input;
    const spec = run === undefined || AT_REST.has(decision.phase.kind) ? input : { ...input, run };
    try {
      await this.command(agent_id, spec);
      // What could not be started as it was is given another try as it is.
      if (isGivenUp(row)) await this.workflows.command(agent_id, 'start', {});
    } catch (error) {
      if (codeOf(error) !== 'AGENT_NOT_FOUND') throw error;
      // Its workflow was lost: made again from what the roster remembers, with what the file says now.
      await this.add({ ...spec, restore: decision.snapshot });
    }
  }

  /** An agent that is about to start for a run takes its new definition a moment later. */
  private async command(agentId: string, spec: AgentInput): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.workflows.command(agentId, 'configure', { spec: this.sign(spec) });
        return;
      } catch (error) {
        if (codeOf(error) !== 'AGENT_BUSY' || tries === BUSY_TRIES) throw error;
        await delay(BUSY_MS);
      }
    }
  }

  /** Has an agent whose own description is as before looked at again: what it follows from has changed. */
  async readmit(row: RosterRow): Promise<void> {
    await this.workflows.command(row.agent_id, 'configure', { spec: row.decision.input });
  }

  async remove(agentId: string): Promise<void> {
    try {
      await this.workflows.command(agentId, 'delete', {});
    } catch (error) {
      if (codeOf(error) !== 'AGENT_NOT_FOUND') throw error;
    }
  }
}
