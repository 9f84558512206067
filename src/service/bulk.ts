import { CodedError, type ErrorBody } from '../contract/errors.ts';
import type { PublicState } from '../contract/agent-view.ts';
import type { RosterRow } from '../ports/roster.ts';
import type { Call } from './caller.ts';
import type { CommandOptions, CommandResult } from './commands.ts';
import { hasLabels } from './list.ts';

/** Which agents: all, or those with all of the labels and in the fault domain. */
export type Selection = { kind: 'all' } | { kind: 'some'; labels: string[]; faultDomain?: string };

export interface BulkOptions extends Omit<CommandOptions, 'onAccepted'> {
  /** Called before each agent is commanded. @throws CodedError what keeps it from that */
  admit?: (agentId: string) => void;
}

export interface BulkResult {
  agent_id: string;
  settled: boolean;
  state?: PublicState;
  note?: string;
  error?: ErrorBody['error'];
}

/** As many commands are on their way to Temporal at once; then they are waited for, all at the same time. */
const AT_ONCE = 32;

/** Commands each of the agents that are selected. What one refuses keeps no other from it. */
export async function commandMany(
  rows: RosterRow[],
  call: Call,
  selection: Selection,
  options: BulkOptions,
  command: (agentId: string, options: CommandOptions) => Promise<CommandResult>,
): Promise<BulkResult[]> {
  const slots = new Slots(AT_ONCE);
  const { admit, ...rest } = options;
  return Promise.all(
    rows
      .filter((row) => isSelected(row, selection) && isOfCaller(row, call))
      .map(async ({ agent_id }) => {
        const release = await slots.take();
        try {
          admit?.(agent_id);
          return resultOf(await command(agent_id, { ...rest, onAccepted: release }));
        } catch (error) {
          return { agent_id, settled: false, error: refusal(error, call.request_id) };
        } finally {
          release();
        }
      }),
  );
}

function isSelected({ decision }: RosterRow, selection: Selection): boolean {
  if (selection.kind === 'all') return true;
  const { labels, faultDomain } = selection;
  if (faultDomain !== undefined && decision.fault_domain !== faultDomain) return false;
  return hasLabels(decision.input.labels ?? {}, labels);
}

/** For an agent, "all" are those that it has created. */
function isOfCaller({ decision }: RosterRow, { caller }: Call): boolean {
  return caller.kind === 'admin' || decision.input.created_by === caller.agent_id;
}

function resultOf({ agent_id, settled, agent, note }: CommandResult): BulkResult {
  const state = agent === null ? {} : { state: agent.state };
  return { agent_id, settled, ...state, ...(note === undefined ? {} : { note }) };
}

function refusal(error: unknown, requestId: string): ErrorBody['error'] {
  const coded =
    error instanceof CodedError
      ? error
      : new CodedError('INTERNAL', 'Something went wrong that should not have', {}, error);
  const { code, message, remedy, details } = coded;
  return { code, message, remedy, details, request_id: requestId };
}

class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** @returns what gives it back, of which only the first call counts */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    };
  }
}
