import { z } from 'zod';
import { parseBytes, SIZE_FORM } from '../domain/size.ts';

/** A text such as `"256MiB"`. */
export const size = z.string(SIZE_FORM).refine(isSize, SIZE_FORM);

function isSize(text: string): boolean {
  try {
    parseBytes(text);
    return true;
  } catch {
    return false;
  }
}
