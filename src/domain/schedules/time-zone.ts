/**
 * Names of the IANA data base, such as `Asia/Seoul`. Temporal knows the same ones, but takes case seriously.
 * @throws TypeError with a message for people
 */
export function checkTimeZone(name: string): void {
  if (isKnown(name)) return;
  const wanted = name.toLowerCase();
  const zones = Intl.supportedValuesOf('timeZone');
  const near =
    zones.find((zone) => zone.toLowerCase() === wanted) ??
    zones.find((zone) => zone.toLowerCase().endsWith(`/${wanted.replaceAll(' ', '_')}`));
  const suggestion = near === undefined ? 'a name such as "Europe/Berlin" or "UTC"' : `did you mean "${near}"?`;
  throw new TypeError(`${JSON.stringify(name)} is no time zone: ${suggestion}`);
}

/** Older names of zones (`Asia/Calcutta`, `US/Eastern`) are good, but are not listed. */
function isKnown(name: string): boolean {
  if (!/^[A-Z][A-Za-z0-9_+/-]*$/.test(name)) return false;
  if (Intl.supportedValuesOf('timeZone').includes(name)) return true;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    // For a name in the wrong case, the right one comes back.
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}

/** True if its clocks always differ from UTC by whole hours, in the year of this moment: the minute is the same there. */
export function hasWholeHours(name: string, atMs: number): boolean {
  const year = new Date(atMs).getUTCFullYear();
  const minuteIn = new Intl.DateTimeFormat('en', { timeZone: name, minute: 'numeric' });
  const months = Array.from({ length: 12 }, (_, month) => Date.UTC(year, month, 15));
  return months.every((ms) => Number(minuteIn.format(ms)) === 0);
}
