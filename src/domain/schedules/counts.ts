/** What became of the calls that could not be made when they were due. The server counts since the schedule was made. */
export interface CallCounts {
  /** Left out because the one before was still under way. */
  skipped: number;
  /** Left out because nobody could make them within the catch-up window. */
  missed: number;
  /** Left out because too many were waiting already. */
  dropped: number;
  /** Waiting for the one before to end, now. */
  buffered: number;
}

/** What is remembered of a schedule between two looks at it. */
export interface SeenCounts extends CallCounts {
  /** What has been reported of the current trouble, which is over when nothing has been added for `QUIET_MS`. */
  told: 'nothing' | 'waiting' | 'left_out';
  /** When something was last added to it. */
  troubleAtMs: number;
}

/** How long it has to be quiet before trouble is reported again. */
export const QUIET_MS = 3_600_000;

/** Reported as an incident: `severity` is `info` where calls only wait. */
export interface CountsReport {
  severity: 'info' | 'warning';
  summary: string;
  value: string;
}

/**
 * Compares what a schedule has left out with what was known. Trouble is reported once, not once for each call.
 * @param known undefined at the first look
 * @param isBackfilled true if an operator has had calls of a time that is over made: that those wait is what they asked for
 */
export function lookAtCounts(
  scheduleId: string,
  known: SeenCounts | undefined,
  counts: CallCounts,
  nowMs: number,
  isBackfilled = false,
): { seen: SeenCounts; report?: CountsReport } {
  const before = known ?? { skipped: 0, missed: 0, dropped: 0, buffered: 0, told: 'nothing', troubleAtMs: 0 };
  const grown = {
    skipped: grownBy(before.skipped, counts.skipped),
    missed: grownBy(before.missed, counts.missed),
    dropped: grownBy(before.dropped, counts.dropped),
  };
  const isLeftOut = sumOf(grown) > 0;
  if (!isLeftOut && counts.buffered === 0) {
    const isOver = nowMs - before.troubleAtMs >= QUIET_MS;
    return { seen: { ...counts, told: isOver ? 'nothing' : before.told, troubleAtMs: before.troubleAtMs } };
  }
  // That calls are left out is news, also after it was reported that they wait.
  const isKnown = before.told === 'left_out' || (before.told === 'waiting' && !isLeftOut);
  const told = isLeftOut || before.told === 'left_out' ? 'left_out' : 'waiting';
  const seen: SeenCounts = { ...counts, told, troubleAtMs: nowMs };
  const isAskedFor = isBackfilled && !isLeftOut;
  return isKnown || isAskedFor ? { seen } : { seen, report: reportOf(scheduleId, grown, counts) };
}

/** A schedule that was recreated counts from zero. */
const grownBy = (before: number, now: number): number => (now < before ? now : now - before);

type LeftOut = Omit<CallCounts, 'buffered'>;

const sumOf = ({ skipped, missed, dropped }: LeftOut): number => skipped + missed + dropped;

function reportOf(scheduleId: string, grown: LeftOut, counts: CallCounts): CountsReport {
  const parts = [
    ...(grown.skipped > 0 ? [`${calls(grown.skipped)} skipped, as the one before was still under way`] : []),
    ...(grown.missed > 0
      ? [`${calls(grown.missed)} missed, as nobody could make them within the catch-up window`]
      : []),
    ...(grown.dropped > 0 ? [`${calls(grown.dropped)} dropped, as too many were waiting`] : []),
    ...(counts.buffered > 0 ? [`${calls(counts.buffered)} waiting for the one before to end`] : []),
  ];
  const value = parts.join('; ');
  return {
    severity: sumOf(grown) > 0 ? 'warning' : 'info',
    summary: `Schedule ${scheduleId}: ${value}`,
    value,
  };
}

const calls = (count: number): string => (count === 1 ? '1 call is' : `${count} calls are`);
