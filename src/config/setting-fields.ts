/** What settings of the daemon consist of. */
import { z } from 'zod';

/** A reference such as `${PORT:-5050}` expands to a text: digits are taken for the number that they are. */
export const numeric = <T extends z.ZodType>(inner: T) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\d{1,9}(\.\d{1,9})?$/.test(value) ? Number(value) : value),
    inner,
  );
export const flag = z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean());
export const text = z.string().min(1, 'a text').max(4096);
