/**
 * Cron expressions as Temporal reads them. It is Temporal that computes the times: here is only said what an expression is,
 * and why one is none. What is accepted here, Temporal accepts (`test/service/schedules/cron-agreement.test.ts`).
 *
 *     minute hour day-of-month month day-of-week                  5 fields
 *     minute hour day-of-month month day-of-week year             6
 *     second minute hour day-of-month month day-of-week year      7
 *     @yearly @annually @monthly @weekly @daily @midnight @hourly
 *     @every 10m, @every 1h30m, @every 24h/6h (at 6, 30, 54 … hours after the beginning of 1970)
 */
export type Cron = CronFields | { kind: 'interval'; everyMs: number; offsetMs: number };

export interface CronFields {
  kind: 'fields';
  /** As it was written; of `@daily` and the like, what it stands for. */
  text: string;
  count: 5 | 6 | 7;
  /** Values that match, ascending; null: any. */
  seconds: number[] | null;
  minutes: number[] | null;
  hours: number[] | null;
  daysOfMonth: number[] | null;
  months: number[] | null;
  daysOfWeek: number[] | null;
  years: number[] | null;
}

interface Field {
  name: string;
  min: number;
  max: number;
  /** Names that stand for numbers, from `min` on; a beginning of so many letters is enough. */
  names?: { texts: readonly string[]; letters: number };
  /** What one may look like. */
  example: string;
}

const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
] as const;
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

const SECOND: Field = { name: 'second', min: 0, max: 59, example: '*/10' };
const MINUTE: Field = { name: 'minute', min: 0, max: 59, example: '*/5' };
const HOUR: Field = { name: 'hour', min: 0, max: 23, example: '9-17' };
const DAY_OF_MONTH: Field = { name: 'day of the month', min: 1, max: 31, example: '1,15' };
const MONTH: Field = { name: 'month', min: 1, max: 12, names: { texts: MONTHS, letters: 3 }, example: 'jan-mar' };
const DAY_OF_WEEK: Field = {
  name: 'day of the week',
  min: 0,
  max: 7,
  names: { texts: DAYS, letters: 2 },
  example: 'mon-fri',
};
const YEAR: Field = { name: 'year', min: 2000, max: 2100, example: '2027' };

const FIVE = [MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK];
const FIELDS: Record<number, readonly Field[]> = {
  5: FIVE,
  6: [...FIVE, YEAR],
  7: [SECOND, ...FIVE, YEAR],
};

const NAMED: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Longer than any that makes sense. */
const MAX_CHARACTERS = 200;

/**
 * @throws TypeError with a message that names the field, what is wrong with it and one that is right
 */
export function parseCron(given: string): Cron {
  const text = given.trim().replaceAll(/\s+/g, ' ');
  if (text.length > MAX_CHARACTERS)
    throw new TypeError(`it has ${text.length} characters, and the limit is ${MAX_CHARACTERS}`);
  if (/^(?:CRON_)?TZ=/.test(text)) {
    throw new TypeError('a time zone stands in `timezone`, such as timezone: Europe/Berlin');
  }
  if (text.startsWith('@every')) return parseInterval(text);
  if (text.startsWith('@') && NAMED[text] === undefined) {
    throw new TypeError(`${JSON.stringify(text)} is none of ${Object.keys(NAMED).join(', ')} and @every 10m`);
  }
  // In Temporal, what follows a # is a comment; elsewhere `1#2` means the second Monday.
  if (text.includes('#')) throw new TypeError('# is not supported: for the second Monday write "0 9 8-14 * mon"');
  return parseFields(NAMED[text] ?? text);
}

function parseFields(text: string): CronFields {
  const words = text === '' ? [] : text.split(' ');
  const fields = FIELDS[words.length];
  if (fields === undefined) {
    const has = words.length === 1 ? 'it has 1 field' : `it has ${words.length} fields`;
    throw new TypeError(`${has}, and 5 are needed (minute, hour, day of the month, month, day of the week)`);
  }
  const values = words.map((word, n) => {
    try {
      return valuesOf(word, fields[n] as Field);
    } catch (error) {
      throw new TypeError(`${(error as Error).message}${hintFor(text, words.length)}`, { cause: error });
    }
  });
  // Without a field of their own, seconds are 0.
  const whole = words.length === 7 ? values : [[0], ...values];
  const [seconds, minutes, hours, daysOfMonth, months, daysOfWeek] = whole;
  const result: CronFields = {
    kind: 'fields',
    text,
    count: words.length as CronFields['count'],
    seconds: seconds ?? null,
    minutes: minutes ?? null,
    hours: hours ?? null,
    daysOfMonth: daysOfMonth ?? null,
    months: months ?? null,
    daysOfWeek: daysOfWeek ?? null,
    years: words.length === 5 ? null : (values.at(-1) ?? null),
  };
  checkPossible(result);
  return result;
}

/** True if it is the same in every hour of every day, so that no clock that is set changes anything. */
export const isHourly = ({ hours, daysOfMonth, months, daysOfWeek, years }: CronFields): boolean =>
  [hours, daysOfMonth, months, daysOfWeek, years].every((values) => values === null);

/** Six fields with something that is no year at their end are most likely meant with the second in front. */
function hintFor(text: string, count: number): string {
  if (count !== 6) return '';
  return `; of 6 fields the last is the year: with the second in front write all 7, such as "${text} *"`;
}

/** @returns null for any */
function valuesOf(word: string, field: Field): number[] | null {
  if (word === '*') return null;
  const matching = new Set<number>();
  for (const part of word.split(',')) {
    const [range = '', step, ...more] = part.split('/');
    if (more.length > 0) throw wrong(field, part, 'has more than one step');
    const every = step === undefined ? 1 : numberOf(step);
    if (every === undefined || every < 1) throw wrong(field, part, 'has no step of at least 1');
    const [from, to] = boundsOf(range, field, step !== undefined);
    for (let value = from; value <= to; value += every) matching.add(field === DAY_OF_WEEK ? value % 7 : value);
  }
  return [...matching].toSorted((a, b) => a - b);
}

function boundsOf(range: string, field: Field, hasStep: boolean): [from: number, to: number] {
  if (range === '*') return [field.min, field.max];
  const ends = range.split('-');
  if (ends.length > 2) throw wrong(field, range, 'has more than one hyphen');
  const [from, to] = ends.map((end) => valueOf(end, field));
  if (from === undefined) throw wrong(field, range, says(ends[0] ?? '', field));
  if (ends.length === 1) return [from, hasStep ? field.max : from];
  if (to === undefined) throw wrong(field, range, says(ends[1] ?? '', field));
  if (to < from) throw wrong(field, range, 'ends before it begins');
  return [from, to];
}

function valueOf(text: string, { min, max, names }: Field): number | undefined {
  if (names !== undefined && text.length >= names.letters) {
    const at = names.texts.findIndex((name) => name.startsWith(text.toLowerCase()));
    if (at >= 0) return at + min;
  }
  const value = numberOf(text);
  return value === undefined || value < min || value > max ? undefined : value;
}

const numberOf = (text: string): number | undefined => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);

function says(text: string, { min, max, names }: Field): string {
  if (/^[?LW]|[LW]$/i.test(text)) return 'has ?, L or W, which are not supported';
  const named = names === undefined ? '' : ` or a name such as ${names.texts[1]?.slice(0, 3)}`;
  return `is not within ${min}-${max}${named}`;
}

const wrong = ({ name, example }: Field, seen: string, what: string): TypeError =>
  new TypeError(`the ${name} ${JSON.stringify(seen)} ${what}; one is ${JSON.stringify(example)}`);

const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The 30th of February would be waited for until 2100. */
function checkPossible({ daysOfMonth, months }: CronFields): void {
  const [first] = daysOfMonth ?? [];
  if (first === undefined || months === null) return;
  if (months.some((month) => first <= (LONGEST[month - 1] as number))) return;
  const names = months.map((month) => MONTHS[month - 1]).join(', ');
  throw new TypeError(`the day of the month "${first}" never comes in ${names}; one that does is "28"`);
}

const UNITS_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function parseInterval(text: string): Cron {
  const [, every, offset] = /^@every ([^/]+?)(?:\/(.+))?$/.exec(text) ?? [];
  const everyMs = compoundMs(every);
  const offsetMs = offset === undefined ? 0 : compoundMs(offset);
  if (everyMs === undefined || offsetMs === undefined || everyMs < 1000) {
    throw new TypeError('after @every stands a duration of whole seconds, at least 1s; one is "@every 1h30m"');
  }
  if (offsetMs >= everyMs) throw new TypeError('the offset after / must be shorter than the interval');
  return { kind: 'interval', everyMs, offsetMs };
}

/** `1h30m`, in whole seconds: Temporal would cut off the rest. */
function compoundMs(text = ''): number | undefined {
  if (!/^(?:\d{1,9}(?:\.\d{1,6})?(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit = ''] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g))
    sum += Number(amount) * (UNITS_MS[unit] ?? 0);
  return Number.isInteger(sum / 1000) ? sum : undefined;
}
