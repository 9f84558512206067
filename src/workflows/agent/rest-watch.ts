/** Notifies runs that the agent has come to rest: from workflow to workflow, so that no daemon's death loses the news. */
import { getExternalWorkflowHandle, log } from '@temporalio/workflow';
import { runWorkflowIdOf } from '../../contract/run-view.ts';
import { REST_SIGNAL } from '../../contract/run-workflow.ts';
import type { AgentState } from '../../domain/agent-state.ts';
import type { ExitRecord } from '../../domain/custody.ts';
import type { Rest } from '../../domain/runs/run-state.ts';
import type { Life, Watcher } from './life.ts';

export class RestWatch {
  private readonly life: Life;
  private readonly telling = new Map<Watcher, Promise<void>>();

  constructor(life: Life) {
    this.life = life;
  }

  /** True if a run is to be notified. */
  get hasNews(): boolean {
    const { watchers = [], state } = this.life;
    return watchers.some((watcher) => !this.telling.has(watcher)) && restOf(state) !== undefined;
  }

  tell(): void {
    if (!this.hasNews) return;
    for (const watcher of this.life.watchers ?? []) {
      if (!this.telling.has(watcher)) this.telling.set(watcher, this.tellOne(watcher));
    }
  }

  /** Before the workflow closes: what it has not sent by then is not sent. */
  async allTold(): Promise<void> {
    await Promise.all(this.telling.values());
  }

  private async tellOne(watcher: Watcher): Promise<void> {
    const rest = newsFor(this.life.state, watcher);
    try {
      await getExternalWorkflowHandle(runWorkflowIdOf(watcher.run_id)).signal(REST_SIGNAL, rest);
    } catch (error) {
      // The run is over: nobody waits any more.
      log.info('a run is not there to be told', { run_id: watcher.run_id, error: String(error) });
    }
    this.telling.delete(watcher);
    this.life.watchers = (this.life.watchers ?? []).filter((each) => each !== watcher);
  }
}

/** A run has one watcher: the later one counts. */
export function addWatcher(life: Life, runId: string, attempt: number | null): void {
  const known = life.watchers?.find((watcher) => watcher.run_id === runId);
  const isSame = known !== undefined && known.attempt === attempt;
  const own = life.input.run;
  // The end of a process that was started for the run counts, however late the watcher comes.
  const from = own?.run_id === runId && own.attempt === attempt ? -1 : life.state.handled;
  const others = (life.watchers ?? []).filter((watcher) => watcher !== known);
  life.watchers = isSame ? [...others, known] : [...others, { run_id: runId, attempt, from }];
}

/** How the agent rests; undefined while it runs, or will by itself. */
export function restOf({ phase }: AgentState): Rest['how'] | undefined {
  switch (phase.kind) {
    case 'completed':
    case 'disabled':
    case 'stopped':
      return phase.kind;
    case 'closed':
      return phase.outcome.kind;
    default:
      return undefined;
  }
}

const exitOf = ({ code, signal, cause, at }: ExitRecord): Rest['exit'] => ({ code, signal, cause, at });

function newsFor(state: AgentState, { attempt, from }: Watcher): Rest {
  const { phase, lastExit, generation, reason } = state;
  const failed = phase.kind === 'closed' && phase.outcome.kind === 'failed' ? phase.outcome : undefined;
  const ran = lastExit !== null && lastExit.generation > from;
  return {
    attempt,
    how: restOf(state) ?? 'stopped',
    code: failed?.code ?? null,
    generation,
    ran,
    exit: lastExit && ran ? exitOf(lastExit) : null,
    ...(ran && phase.kind === 'stopped' && phase.own !== undefined ? { own: phase.own } : {}),
    reason: failed?.message ?? reason,
  };
}
