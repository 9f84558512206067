import type { When } from './when.ts';

/** What may surprise people who know another cron. @param next the next times, as they are shown @param made calls so far */
export function warningsOf(when: When, next: readonly string[], made: number): string[] {
  const warnings: string[] = [];
  const coming = next.slice(0, 3).join(', ');
  if (when.kind === 'cron') {
    const { count, text, daysOfMonth, daysOfWeek } = when.cron;
    if (count === 6) {
      const next3 = coming === '' ? 'there is no next time' : `the next times are ${coming}`;
      const other = `for seconds in front write 7, such as "${text} *"`;
      warnings.push(`Of 6 fields the last is the year, the first the minute; ${next3}; ${other}`);
    }
    if (daysOfMonth !== null && daysOfWeek !== null) {
      warnings.push(
        'A day of the month and a day of the week are given: both must hold (in other crons, one is enough)',
      );
    }
  }
  const isOnce = when.kind === 'once' || when.kind === 'after';
  if (next.length === 0 && !(isOnce && made > 0)) warnings.push('It does not call any more: no time to come matches');
  return warnings;
}
