/** A moment as it is written: with an offset it is the same everywhere, without one it is by the clocks of a time zone. */
export type Moment = { kind: 'absolute'; ms: number } | { kind: 'local'; fields: LocalTime };

export interface LocalTime {
  year: number;
  /** 1 to 12. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const FORM = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?$/;
const EXAMPLE = '"2026-12-24T18:00:00Z", or "2026-12-24T18:00" with a timezone';

/**
 * ISO 8601, to the second.
 * @throws TypeError with a message for people
 */
export function parseMoment(text: string): Moment {
  const [, year, month, day, hour, minute, second = '0', offset] = FORM.exec(text) ?? [];
  if (year === undefined) throw new TypeError(`${JSON.stringify(text)} is no time: write ${EXAMPLE}`);
  const fields: LocalTime = {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
    second: Number(second),
  };
  const ms = asUtcMs(fields);
  // A date that does not exist, such as February 30, comes out as another one.
  if (Number.isNaN(ms) || !isSame(fields, utcFields(ms)))
    throw new TypeError(`${JSON.stringify(text)} is a time that does not exist: write ${EXAMPLE}`);
  if (fields.year < 2000 || fields.year > 2100) throw new TypeError(`the year ${fields.year} is not within 2000-2100`);
  return offset === undefined ? { kind: 'local', fields } : { kind: 'absolute', ms: ms - offsetMs(offset) };
}

/** In UTC, whole seconds: the next one. */
export function utcFields(ms: number): LocalTime {
  const date = new Date(Math.ceil(ms / 1000) * 1000);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
  };
}

const asUtcMs = ({ year, month, day, hour, minute, second }: LocalTime): number =>
  Date.UTC(year, month - 1, day, hour, minute, second);

const isSame = (a: LocalTime, b: LocalTime): boolean =>
  Object.entries(a).every(([name, value]) => b[name as keyof LocalTime] === value);

function offsetMs(offset: string): number {
  if (offset === 'Z') return 0;
  const [hours = 0, minutes = 0] = offset.slice(1).split(':').map(Number);
  if (hours > 14 || minutes > 59) throw new TypeError(`the offset ${offset} does not exist`);
  return (offset.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
