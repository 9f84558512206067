import { Client, Connection } from '@temporalio/client';
import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ScheduleInput } from '../../../src/contract/schedule-view.ts';
import { parseCron } from '../../../src/domain/schedules/cron.ts';
import { optionsOf } from '../../../src/service/schedules/schedule-options.ts';

let connection: Connection;
let client: Client;
beforeAll(async () => {
  connection = await Connection.connect({ address: inject('temporalAddress') });
  client = new Client({ connection });
});
afterAll(() => connection.close());

/** What Temporal says of a schedule that never calls: its next times, or why it is none. */
async function nextTimes(
  input: Omit<ScheduleInput, 'agent_id'>,
  from?: { start: string; end: string },
): Promise<string[]> {
  const scheduleId = `agreement-${randomUUID()}`;
  const options = optionsOf({ schedule: { agent_id: 'nobody', schedule_id: 'nobody', ...input } });
  const handle = await client.schedule.create({ ...options, scheduleId, state: { paused: true } });
  try {
    if (from === undefined) return (await handle.describe()).info.nextActionTimes.map((time) => time.toISOString());
    const { startTime } = await client.workflowService.listScheduleMatchingTimes({
      namespace: 'default',
      scheduleId,
      startTime: { seconds: seconds(from.start) as never },
      endTime: { seconds: seconds(from.end) as never },
    });
    return (startTime ?? []).map((time) => new Date(Number(time.seconds) * 1000).toISOString());
  } finally {
    await handle.delete();
  }
}
const seconds = (iso: string): number => Date.parse(iso) / 1000;

const isOurs = (cron: string): boolean => {
  try {
    parseCron(cron);
    return true;
  } catch {
    return false;
  }
};
/** Past our own check. */
async function isTemporals(cron: string): Promise<boolean> {
  const { action } = optionsOf({ schedule: { agent_id: 'nobody', schedule_id: 'nobody', every: '1h' } });
  const scheduleId = `agreement-${randomUUID()}`;
  try {
    const spec = { cronExpressions: [cron] };
    const handle = await client.schedule.create({ action, spec, scheduleId, state: { paused: true } });
    await handle.delete();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

describe('what we take for a cron expression', () => {
  it.each([
    '*/5 * * * *',
    '0 9 * * mon-fri',
    '0 0 * * 7',
    '0 9 * dec we',
    '5/15 * * * *',
    '0 9 * * * 2027-2030/2',
    '*/10 * * * * * *',
    '0 0 29 2 *',
  ])('is one for Temporal: %j', async (cron) => {
    expect(await isTemporals(cron)).toBe(true);
  });

  it.each([
    '60 * * * *',
    '* * * *',
    '0 9 * * fri-mon',
    '*/0 * * * *',
    '0 9 L * *',
    '1,,2 * * * *',
    '@dayly',
    '0 9 * * * 1999',
  ])('and neither of us takes %j', async (cron) => {
    expect([isOurs(cron), await isTemporals(cron)]).toEqual([false, false]);
  });

  const number = fc.integer({ min: 0, max: 75 }).map(String);
  const word = fc.oneof(
    number,
    fc.constantFrom('*', 'mon', 'SUN', 'tu', 'thursday', 'jan', 'DEC', 'july', 'x', '?', 'L', '', '2027', '1999'),
  );
  const part = fc
    .tuple(word, fc.option(word, { nil: undefined }), fc.option(number, { nil: undefined }))
    .map(([from, to, step]) => `${from}${to === undefined ? '' : `-${to}`}${step === undefined ? '' : `/${step}`}`);
  const some = fc.integer({ min: 1, max: 14 }).map(String);
  const field = fc.oneof(
    { weight: 8, arbitrary: fc.constant('*') },
    { weight: 3, arbitrary: fc.tuple(some, some).map(([a, b]) => `${a}-${b}`) },
    { weight: 3, arbitrary: fc.oneof(some, fc.constantFrom('*/7', '2,3', 'mon-fri', 'feb', '3/4')) },
    { weight: 1, arbitrary: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(',')) },
  );
  const cron = fc.array(field, { minLength: 5, maxLength: 7 }).map((fields) => fields.join(' '));

  it('Temporal takes, and what it does not, we do not, for any text that looks like one', async () => {
    let [accepted, refused] = [0, 0];
    await fc.assert(
      fc.asyncProperty(cron, async (text) => {
        const [ours, theirs] = [isOurs(text), await isTemporals(text)];
        if (ours) accepted += 1;
        else refused += 1;
        if (ours) expect([text, theirs]).toEqual([text, true]);
        // Ours is the stricter one only where a day never comes.
        else if (theirs) expect([text, never(text)]).toEqual([text, true]);
      }),
      { numRuns: 300 },
    );
    expect(Math.min(accepted, refused)).toBeGreaterThan(30);
  }, 120_000);
});

const never = (text: string): boolean => {
  try {
    parseCron(text);
    return false;
  } catch (error) {
    return (error as Error).message.includes('never comes');
  }
};

describe('the times', () => {
  it('of an interval begin with 1970', async () => {
    const times = await nextTimes(
      { cron: '@every 24h/6h' },
      { start: '2026-11-20T00:00:00Z', end: '2026-11-22T00:00:00Z' },
    );
    expect(times).toEqual(['2026-11-20T06:00:00.000Z', '2026-11-21T06:00:00.000Z']);
  });

  it('of six fields end with the year', async () => {
    const times = await nextTimes({ cron: '0 9 1 1 * 2030' });
    expect(times).toEqual(['2030-01-01T09:00:00.000Z']);
  });

  it('hold for a day of the month and a day of the week at once', async () => {
    const times = await nextTimes(
      { cron: '0 0 13 * fri' },
      { start: '2026-01-01T00:00:00Z', end: '2026-12-31T00:00:00Z' },
    );
    expect(times).toEqual(['2026-02-13T00:00:00.000Z', '2026-03-13T00:00:00.000Z', '2026-11-13T00:00:00.000Z']);
  });

  it('of one moment come once, whatever its offset', async () => {
    expect(await nextTimes({ at: '2030-12-24T18:00:00+09:00' })).toEqual(['2030-12-24T09:00:00.000Z']);
    expect(await nextTimes({ at: '2030-07-01T18:00', timezone: 'Europe/Berlin' })).toEqual([
      '2030-07-01T16:00:00.000Z',
    ]);
  });
});

// The clocks go forward on 29 March 2026 in Berlin (from 02:00) and on 8 March in New York, back on 25 October and on 1 November.
describe('daylight saving', () => {
  const berlin = { timezone: 'Europe/Berlin' };
  const newYork = { timezone: 'America/New_York' };
  const spring = { start: '2026-03-28T00:00:00Z', end: '2026-03-30T12:00:00Z' };
  const autumn = { start: '2026-10-24T00:00:00Z', end: '2026-10-26T12:00:00Z' };
  const november = { start: '2026-10-31T12:00:00Z', end: '2026-11-02T12:00:00Z' };

  it('keeps a time of the day, whatever the season', async () => {
    expect(await nextTimes({ cron: '0 9 * * *', ...berlin }, spring)).toEqual([
      '2026-03-28T08:00:00.000Z',
      '2026-03-29T07:00:00.000Z',
      '2026-03-30T07:00:00.000Z',
    ]);
  });

  it('leaves out a time that does not come', async () => {
    expect(await nextTimes({ cron: '30 2 * * *', ...berlin }, spring)).toEqual([
      '2026-03-28T01:30:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });

  it('calls twice at a time that comes twice, west of Greenwich', async () => {
    expect(await nextTimes({ cron: '30 1 * * *', ...newYork }, november)).toEqual([
      '2026-11-01T05:30:00.000Z',
      '2026-11-01T06:30:00.000Z',
      '2026-11-02T06:30:00.000Z',
    ]);
  });

  it('calls at the second of them east of it, and twice in the hour before', async () => {
    expect(await nextTimes({ cron: '30 2 * * *', ...berlin }, autumn)).toEqual([
      '2026-10-24T00:30:00.000Z',
      '2026-10-25T01:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
    expect(await nextTimes({ cron: '30 1 * * *', ...berlin }, autumn)).toEqual([
      '2026-10-24T23:30:00.000Z',
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T00:30:00.000Z',
    ]);
  });

  it('calls each hour each hour, whatever the zone', async () => {
    const range = { start: '2026-10-24T22:59:00Z', end: '2026-10-25T03:30:00Z' };
    const hours = ['23', '00', '01', '02', '03'].map((hour) => `2026-10-${hour === '23' ? 24 : 25}T${hour}:00:00.000Z`);
    expect(await nextTimes({ cron: '0 * * * *', ...berlin }, range)).toEqual(hours);
    expect(await nextTimes({ cron: '0 0 * * * * *', ...newYork }, range)).toEqual(hours);
    expect(await nextTimes({ every: '1h', ...berlin }, range)).toEqual(hours);
    const india = await nextTimes({ cron: '0 * * * *', timezone: 'Asia/Kolkata' }, range);
    expect(india[0]).toBe('2026-10-24T23:30:00.000Z');
  });

  it('does not exist in UTC', async () => {
    expect(await nextTimes({ cron: '30 2 * * *' }, spring)).toEqual([
      '2026-03-28T02:30:00.000Z',
      '2026-03-29T02:30:00.000Z',
      '2026-03-30T02:30:00.000Z',
    ]);
  });
});
