/** Digits that sort like their values, without those that are taken for others (Crockford). */
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
const BIRTH_LENGTH = 7;
const SEQ_LENGTH = 9;

function encode(value: number, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest = Math.floor(rest / 32)) text = DIGITS.charAt(rest % 32) + text;
  return text;
}

function decode(text: string): number | undefined {
  let value = 0;
  for (const digit of text) {
    const at = DIGITS.indexOf(digit);
    if (at < 0) return undefined;
    value = value * 32 + at;
  }
  return value;
}

export type Ids = ReturnType<typeof createIds>;

/**
 * The names of messages: when the store was made (in seconds), then the number of the message. So they sort in the order of
 * sending, and a store that was recreated gives no id that an earlier one gave.
 */
export function createIds(bornMs: number) {
  const prefix = encode(Math.floor(bornMs / 1000), BIRTH_LENGTH);
  const seqOf = (id: string): number | undefined =>
    id.length === BIRTH_LENGTH + SEQ_LENGTH && id.startsWith(prefix) ? decode(id.slice(BIRTH_LENGTH)) : undefined;
  return {
    idOf: (seq: number): string => prefix + encode(seq, SEQ_LENGTH),
    /** Undefined for what is no id of this store. */
    seqOf,
    /** For any text, the number above which ids sort after it. */
    seqAfter: (text: string): number => seqOf(text) ?? (text < prefix ? 0 : Number.MAX_SAFE_INTEGER),
  };
}
