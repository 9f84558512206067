import { z } from 'zod';
import { parseBytes, SIZE_FORM } from '../domain/size.ts';

/** A text such as `"256MiB"`. */
export const size = z.string(SIZE_FORM).refine(isSize, SIZE_FORM);

/** @param least such as `1MiB` */
export const sizeFrom = (least: string) =>
  size.refine((text) => !isSize(text) || parseBytes(text) >= parseBytes(least), `${least} or more`);

function isSize(text: string): boolean {
  try {
    parseBytes(text);
    return true;
  } catch {
    return false;
  }
}
