import type { DaemonFacts } from '../contract/daemon-view.ts';
import { publicState } from '../domain/public-state.ts';
import type { LogSource } from '../ports/log-source.ts';
import type { Roster, RosterRow } from '../ports/roster.ts';
import type { StateDir } from './state-dir.ts';

/** Tells on the terminal what happens to the agents, in one line each, and what the Master Agent says. */
export class Story {
  private readonly say: (line: string) => void;
  private readonly last = new Map<string, string>();
  private readonly ending = new AbortController();
  private unsubscribe: () => void = () => undefined;

  constructor(say: (line: string) => void) {
    this.say = say;
  }

  tell(roster: Roster, logs: LogSource, masterId: string | null): void {
    this.unsubscribe = roster.subscribe((change) => {
      if (change.kind === 'row') this.row(change.row);
      else this.line(change.agent_id, 'deleted');
    });
    if (masterId !== null) void this.voice(logs, masterId);
  }

  /** What ran before this daemon and has been taken over. */
  takenOver(rows: RosterRow[]): void {
    for (const { agent_id: agentId, process } of rows) {
      if (process?.pid == null || this.last.has(agentId)) continue;
      this.line(agentId, `still runs (pid ${process.pid}): taken over`);
    }
  }

  close(): void {
    this.unsubscribe();
    this.ending.abort();
  }

  private row({ agent_id: agentId, decision, process }: RosterRow): void {
    const state = publicState(decision.phase, decision.generation, process);
    if (state === 'pending' || state === 'starting') return;
    const pid = state === 'running' ? ` (pid ${process?.pid})` : '';
    const reason = (state === 'unready' && process?.health?.reason) || decision.reason;
    const why = state === 'running' && reason === 'created' ? '' : `: ${reason}`;
    this.line(agentId, `${state}${pid}${why}`);
  }

  private line(agentId: string, text: string): void {
    if (this.last.get(agentId) === text) return;
    this.last.set(agentId, text);
    this.say(`  ${agentId} ${text}`);
  }

  private async voice(logs: LogSource, masterId: string): Promise<void> {
    try {
      for await (const line of logs.follow(masterId, this.ending.signal)) this.say(`  ${masterId} │ ${line}`);
    } catch {
      // The story is only a story: the log itself is where it was.
    }
  }
}

export function banner(facts: DaemonFacts, stateDir: StateDir): string {
  const { plugins, ports, temporal } = facts;
  const api = `http://127.0.0.1:${ports.api}`;
  return [
    '',
    `OpenStarry Orchestrator Daemon ${facts.version} runs (pid ${facts.pid}).`,
    `  API          ${api}   (health :${ports.health}/healthz, metrics :${ports.metrics}/metrics)`,
    ports.ui === undefined
      ? `  Temporal     ${temporal.address}, namespace ${temporal.namespace}`
      : `  Temporal UI  http://127.0.0.1:${ports.ui}   (server ${temporal.address})`,
    ...(plugins === null ? [] : [`  Queue        ${plugins.bus.use}: ${plugins.bus.durability}`]),
    `  Config       ${facts.config_file}`,
    `  State        ${stateDir.path}`,
    '',
    '  Try:',
    `    curl -H "Authorization: Bearer $(cat ${stateDir.file('token')})" ${api}/agents`,
    '    kill -9 the pid of an agent and watch it come back; Ctrl-C stops everything in order',
    '',
  ].join('\n');
}
