/** When a line of an agent's output was written, as far as the line itself says so. */

/** At the beginning, such as `2026-01-31T09:00:00Z` or, as Python logs it, `2026-01-31 09:00:00,123`. */
const AT_START = /^\W{0,3}(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?/;
/** In a line of JSON. */
const IN_JSON =
  /^\{.*?"(?:time|timestamp|ts|at)"\s*:\s*(?:"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)?"|(\d{13})\b)/;

/** Epoch milliseconds; undefined if the line has no time. */
export function timeOf(line: string): number | undefined {
  const start = line.slice(0, 500);
  const json = start.startsWith('{') ? IN_JSON.exec(start) : null;
  if (json?.[5] !== undefined) return Number(json[5]);
  const [, day, time, fraction = '0', zone = ''] = json ?? AT_START.exec(start) ?? [];
  if (day === undefined) return undefined;
  const ms = Date.parse(`${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}${zone}`);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Without what was written before: a line that tells no time belongs to the one before it. */
export function linesSince(lines: string[], sinceMs: number): string[] {
  const older = lines.findLastIndex((line) => (timeOf(line) ?? sinceMs) < sinceMs);
  if (older < 0) return lines;
  const next = lines.findIndex((line, n) => n > older && timeOf(line) !== undefined);
  return next < 0 ? [] : lines.slice(next);
}
