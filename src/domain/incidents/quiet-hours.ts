/**
 * Hours in which people are not disturbed, by the clock on the wall of a time zone: from `start` until before `end`, across
 * midnight where `end` is the earlier one.
 *
 * Daylight saving: what counts is what the clock shows. An hour that is skipped makes the quiet shorter; of one that comes
 * twice, both are quiet. An end within a skipped hour is the moment at which the clock jumps over it.
 */
export interface QuietHours {
  /** Minutes since midnight, 0 to 1439. Not the same as `endMinute`. */
  startMinute: number;
  endMinute: number;
  /** IANA name, such as `Asia/Seoul`. */
  timezone: string;
}

const MINUTE_MS = 60_000;
/** Longer than any day with its change of the clock. */
const LOOK_AHEAD_MINUTES = 2 * 24 * 60;

const CLOCK = /^([01]?\d|2[0-3]):([0-5]\d)$/;

/** `23:00` → 1380; undefined if it is no time of the day. */
export function parseClock(text: string): number | undefined {
  const [, hours, minutes] = CLOCK.exec(text) ?? [];
  return hours === undefined || minutes === undefined ? undefined : Number(hours) * 60 + Number(minutes);
}

/** 1380 → `23:00` */
export const describeClock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

/** When the quiet that holds at this moment ends; null if none holds. Epoch milliseconds. */
export function quietUntil(quiet: QuietHours, nowMs: number): number | null {
  const format = formatOf(quiet.timezone);
  const isQuietAt = (ms: number): boolean => isQuiet(quiet, minuteOf(format, ms));
  if (!isQuietAt(nowMs)) return null;
  // Zones are off UTC by whole minutes: within one of UTC no clock changes what it shows.
  const first = Math.floor(nowMs / MINUTE_MS) + 1;
  for (let minute = first; minute < first + LOOK_AHEAD_MINUTES; minute += 1) {
    if (!isQuietAt(minute * MINUTE_MS)) return minute * MINUTE_MS;
  }
  throw new RangeError(`Quiet hours from ${describeQuiet(quiet)} never end`);
}

/** `23:00 to 08:00 Asia/Seoul` */
export const describeQuiet = ({ startMinute, endMinute, timezone }: QuietHours): string =>
  `${describeClock(startMinute)} to ${describeClock(endMinute)} ${timezone}`;

function isQuiet({ startMinute, endMinute }: QuietHours, minute: number): boolean {
  if (startMinute < endMinute) return minute >= startMinute && minute < endMinute;
  return minute >= startMinute || minute < endMinute;
}

/** What the clock shows, in minutes since midnight. */
function minuteOf(format: Intl.DateTimeFormat, ms: number): number {
  const [hours = '', minutes = ''] = format.format(ms).split(':');
  return Number(hours) * 60 + Number(minutes);
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** @throws RangeError if there is no such zone */
function formatOf(timezone: string): Intl.DateTimeFormat {
  const known = formats.get(timezone);
  if (known !== undefined) return known;
  const options = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone: timezone } as const;
  const format = new Intl.DateTimeFormat('en-GB', options);
  formats.set(timezone, format);
  return format;
}
