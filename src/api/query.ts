import { z } from 'zod';
import { AGENT_ID_PATTERN } from '../domain/ids.ts';
import { parseDurationMs } from '../domain/duration.ts';

/** Longer than any start that makes sense to wait for in one request. */
const MAX_WAIT_MS = 600_000;

export const agentPath = z.strictObject({
  agent_id: z
    .string()
    .regex(AGENT_ID_PATTERN, 'must be 1 to 64 letters, digits, ".", "_" or "-", the first a letter or digit'),
});

/** `?purge`, `?purge=true`, `?purge=false`. */
export const flag = z
  .enum(['', 'true', 'false', '1', '0'], { error: 'must be true or false' })
  .transform((text) => text === '' || text === 'true' || text === '1')
  .default(false);

export const duration = z
  .string()
  .refine((text) => readDuration(text) !== undefined, 'must be a duration such as "500ms", "5s" or "2m"');

export interface Wait {
  until: 'running' | 'accepted';
  waitMs: number;
}

/** `running` (30 s), a duration (that long), `accepted` or `none` (not at all). */
export const wait = z
  .string()
  .default('running')
  .transform((text, context): Wait => {
    if (text === 'running') return { until: 'running', waitMs: 30_000 };
    if (text === 'accepted' || text === 'none') return { until: 'accepted', waitMs: 30_000 };
    const waitMs = readDuration(text);
    if (waitMs !== undefined && waitMs <= MAX_WAIT_MS) return { until: 'running', waitMs };
    context.addIssue({
      code: 'custom',
      message: 'must be running, accepted, none or a duration up to 10m, such as "5s"',
    });
    return z.NEVER;
  });

export function whole(min: number, max: number) {
  return z
    .string()
    .refine(
      (text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `must be a whole number from ${min} to ${max}`,
    )
    .transform(Number);
}

function readDuration(text: string): number | undefined {
  try {
    return parseDurationMs(text);
  } catch {
    return undefined;
  }
}
