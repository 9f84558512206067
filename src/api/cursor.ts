/** Where a list goes on: opaque to callers, so that what it holds may change. */
import { z } from 'zod';

export const cursor = z
  .string()
  .max(200)
  .transform((text, context) => {
    const position = Buffer.from(text, 'base64url').toString();
    if (text !== '' && cursorOf(position) === text) return position;
    context.addIssue({ code: 'custom', message: 'the next_cursor of an earlier answer' });
    return z.NEVER;
  })
  .meta({ description: '`next_cursor` of the page before' });

/** Of a list whose entries have numbers. */
export const numberCursor = cursor
  .refine((position) => /^\d{1,15}$/.test(position), 'the next_cursor of an earlier answer')
  .transform(Number);

export function cursorOf(position: string | number): string {
  return Buffer.from(String(position)).toString('base64url');
}
