/** JSON that comes from outside and has to go out again as it came. */

/** Levels of lists and mappings within each other. */
export const MAX_JSON_DEPTH = 64;
/** Of one payload or value, as JSON. */
export const MAX_JSON_BYTES = 256 * 1024;

/** True if it is nested deeper than `limit`. No recursion: it may be nested very deep. */
export function isDeeperThan(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  let level: object[] = [value];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    const next: object[] = [];
    for (const each of level) {
      for (const member of Object.values(each) as unknown[]) {
        if (typeof member === 'object' && member !== null) next.push(member);
      }
    }
    level = next;
  }
  return false;
}

/** Nothing in a shorter text can be a number that is not kept. */
const SUSPECT = /\d{16}|\d[eE]/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;

/**
 * The first number in a JSON text that would come out as another one, such as 9007199254740993 or 1e400; undefined if there
 * is none. Decimals are taken as what is nearest, as everywhere.
 */
export function unkeptNumber(text: string): string | undefined {
  if (!SUSPECT.test(text)) return undefined;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (code === MINUS || isDigit(code)) {
      const end = endOfNumber(text, at);
      const number = text.slice(at, end);
      if (!isKept(number)) return number.length > 40 ? `${number.slice(0, 40)}…` : number;
      at = end - 1;
    }
  }
  return undefined;
}

function isKept(number: string): boolean {
  const value = Number(number);
  if (!Number.isFinite(value)) return false;
  if (/^-?\d+$/.test(number)) {
    return Number.isSafeInteger(value) || String(value) === number || BigInt(number) === BigInt(value);
  }
  return value !== 0 || !/^[^eE]*[1-9]/.test(number);
}

/** Of its last quote. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && (isDigit(text.charCodeAt(end)) || '+-.eE'.includes(text.charAt(end)))) end += 1;
  return end;
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
