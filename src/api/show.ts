import type { Shown } from '../contract/shown.ts';
import { transitionState, type TransitionState } from '../domain/public-state.ts';
import type { HistoryEntry } from '../ports/roster.ts';
import type { TemporalLink } from '../service/temporal-link.ts';

/** What the records say, marked while their workflows cannot add to them. */
export const showing =
  (temporal: TemporalLink) =>
  <T extends object>(view: T): Shown<T> => ({ ...view, stale: !temporal.reachable() });

/** An entry of a history, in the words in which the agent itself is shown. */
export const historyEntry = <T extends HistoryEntry>(entry: T): Omit<T, 'state'> & { state: TransitionState } => ({
  ...entry,
  state: transitionState(entry.state),
});
