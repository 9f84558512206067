const PATTERN = /^(\d{1,6}(?:\.\d{1,3})?) ?%$/;

/** What a share of a processor looks like, as the end of a message. */
export const PERCENT_FORM = 'a percentage above 0, such as "50%"; 100% is one processor, so "250%" is two and a half';

/**
 * `"50%"` → 50.
 *
 * @throws TypeError with a message for people
 */
export function parsePercent(value: unknown): number {
  const match = typeof value === 'string' ? PATTERN.exec(value) : null;
  const percent = Number(match?.[1]);
  if (!(percent > 0)) throw new TypeError(`${JSON.stringify(value)} is no percentage: write ${PERCENT_FORM}`);
  return percent;
}
