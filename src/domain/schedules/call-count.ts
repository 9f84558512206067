import type { CronFields } from './cron.ts';
import type { When } from './when.ts';

const DAY_MS = 86_400_000;

export interface CallRange {
  /** Epoch milliseconds; both ends belong to it. */
  fromMs: number;
  toMs: number;
  timezone: string;
}

/**
 * How many calls a schedule makes in a time. By the clock on the wall: where the clocks are set within the range, it may be an
 * hour's worth of calls more or less.
 * @param limit above it nobody counts on: what comes back is then some number above it
 */
export function countCalls(when: When, range: CallRange, limit: number): number {
  switch (when.kind) {
    case 'cron':
      return countCron(when.cron, range, limit);
    case 'every': {
      const { everyMs, offsetMs } = when;
      const last = Math.floor((range.toMs - offsetMs) / everyMs);
      return Math.max(0, last - Math.ceil((range.fromMs - offsetMs) / everyMs) + 1);
    }
    case 'once':
    case 'after':
      return 1;
  }
}

function countCron(cron: CronFields, { fromMs, toMs, timezone }: CallRange, limit: number): number {
  const from = wallClockMs(fromMs, timezone);
  const to = wallClockMs(toMs, timezone);
  const times = timesOfDay(cron);
  let count = 0;
  for (let day = Math.floor(from / DAY_MS) * DAY_MS; day <= to && count <= limit; day += DAY_MS) {
    if (!isDayOf(cron, new Date(day))) continue;
    const isWhole = day >= from && day + DAY_MS - 1 <= to;
    count += isWhole ? times.length : times.filter((ms) => day + ms >= from && day + ms <= to).length;
  }
  return count;
}

/** Where a day of the month and a day of the week are given, Temporal wants both to match. */
function isDayOf({ daysOfMonth, months, daysOfWeek, years }: CronFields, day: Date): boolean {
  const has = (values: number[] | null, value: number): boolean => values === null || values.includes(value);
  return (
    has(years, day.getUTCFullYear()) &&
    has(months, day.getUTCMonth() + 1) &&
    has(daysOfMonth, day.getUTCDate()) &&
    has(daysOfWeek, day.getUTCDay())
  );
}

/** Milliseconds since midnight. */
function timesOfDay({ hours, minutes, seconds }: CronFields): number[] {
  const all = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
  return (hours ?? all(24)).flatMap((hour) =>
    (minutes ?? all(60)).flatMap((minute) =>
      (seconds ?? all(60)).map((second) => ((hour * 60 + minute) * 60 + second) * 1000),
    ),
  );
}

/** What the clocks of the zone show, as if they were in UTC. */
function wallClockMs(ms: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
