import type { Shown } from '../contract/shown.ts';
import type { TemporalLink } from '../service/temporal-link.ts';

/** What the records say, marked while their workflows cannot add to them. */
export const showing =
  (temporal: TemporalLink) =>
  <T extends object>(view: T): Shown<T> => ({ ...view, stale: !temporal.reachable() });
