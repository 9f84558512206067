import type { Cgroups } from './tree/cgroups.ts';
import type { Incarnation } from './incarnation.ts';
import type { Journal } from './journal/journal.ts';
import type { Logger } from './logger.ts';
import type { ProcessTable } from './tree/process-table.ts';
import type { Events } from './protocol.ts';
import type { Signaller } from './signals.ts';
import type { Stuck } from './tree/stuck.ts';
import type { Tree } from './tree/tree.ts';

export type EmitEvent = <E extends keyof Events>(event: E, data: Events[E]) => void;

/** What the parts of the custodian share. */
export interface Context {
  stateDir: string;
  log: Logger;
  table: ProcessTable;
  journal: Journal;
  tree: Tree;
  /** Absent where there are none. */
  cgroups?: Cgroups;
  signaller: Signaller;
  stuck: Stuck;
  emit: EmitEvent;
  /** What lives, by agent: at most one incarnation each. */
  incarnations: Map<string, Incarnation>;
}
