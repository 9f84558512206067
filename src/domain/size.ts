const UNITS_BYTES = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;
const PATTERN = /^(\d{1,15}(?:\.\d{1,6})?) ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$/;

/** What a size looks like, as the end of a message. */
export const SIZE_FORM = 'a number with B, kB, MB, GB, KiB, MiB or GiB in quotes, such as "256MiB" or "1.5GB"';

/**
 * `"256MiB"` → 268435456, in whole bytes. `MB` is a million, `MiB` is 1024 × 1024.
 *
 * @throws TypeError with a message for people
 */
export function parseBytes(value: unknown): number {
  const match = typeof value === 'string' ? PATTERN.exec(value) : null;
  if (match === null) throw new TypeError(`${JSON.stringify(value)} is no size: write ${SIZE_FORM}`);
  const [, amount, unit] = match as unknown as [string, string, keyof typeof UNITS_BYTES];
  const bytes = Math.round(Number(amount) * UNITS_BYTES[unit]);
  if (!Number.isSafeInteger(bytes)) throw new TypeError(`${JSON.stringify(value)} is larger than any memory`);
  return bytes;
}

/** `268435456` → `256 MiB`, for sentences. */
export function describeBytes(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB'] as const) {
    if (bytes >= UNITS_BYTES[unit]) return `${round(bytes / UNITS_BYTES[unit])} ${unit}`;
  }
  return `${bytes} B`;
}

/** One decimal where it tells something. */
const round = (value: number): number => (value < 100 ? Math.round(value * 10) / 10 : Math.round(value));
