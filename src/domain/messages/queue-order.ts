/**
 * Which message is next: the one with the highest *effective priority*,
 *
 *     effective(t) = priority + (t − sent) / ageing
 *
 * so a message gains one step of priority for each `ageing` (30 s by default) that it waits, and one of priority 0 is
 * passed by new ones of priority 9 for at most 9 × 30 s = 4.5 min. All messages of a queue age alike, so which of two comes
 * first never changes while they wait: the order is that of one number, which an index can hold.
 *
 * Of one sender and priority, who was sent first is handed out first.
 */

/** The lower, the sooner. In milliseconds. */
export function rankOf(sentAtMs: number, priority: number, ageingMs: number): number {
  return sentAtMs - priority * ageingMs;
}

export const DEFAULT_AGEING_MS = 30_000;
