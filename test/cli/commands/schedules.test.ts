import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RunView } from '../../../src/contract/run-view.ts';
import type { ScheduleView } from '../../../src/contract/schedule-view.ts';
import { TestDaemon } from '../../support/daemon.ts';

const ENTRY = path.join(inject('root'), 'dist', 'cli', 'main.js');

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await TestDaemon.make({ agents: { w1: { command: ['sleep', '1000'], autostart: false } } });
  await daemon.template('Echo', { command: ['sh', '-c', 'echo "did $OPENSTARRY_TASK"'] });
  await daemon.template('Failing', { command: ['sh', '-c', 'exit 3'], restart: 'never' });
  await daemon.start();
  await daemon.untilAgent('w1', ({ state }) => state === 'stopped', 'is there');
}, 60_000);
afterAll(() => daemon?.end());

async function cli(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [ENTRY, ...args], {
    env: daemon.env,
    cwd: daemon.dir,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ran = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
  await once(child, 'close');
  return { ...ran, code: child.exitCode };
}
async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await cli('--json', ...args);
  if (code !== 0) throw new Error(`${args.join(' ')}: ${code} ${err}`);
  return JSON.parse(out) as T;
}

describe('schedules', () => {
  it('are added, listed, shown, paused, resumed and removed', async () => {
    const added = await cli('schedules', 'add', 'w1', '0 9 * * *', '--timezone', 'Asia/Seoul', '--payload', '{"n":1}');
    expect([added.code, added.err]).toEqual([0, '']);
    expect(added.out).toContain('w1 calls w1: 0 9 * * * (Asia/Seoul)');
    const { schedules } = await json<{ schedules: ScheduleView[] }>('schedules', 'ls');
    expect(schedules).toMatchObject([{ schedule_id: 'w1', payload: { n: 1 }, timezone: 'Asia/Seoul' }]);
    expect((await cli('schedules', 'ls')).out).toMatch(/SCHEDULE +AGENT +WHEN/);
    const changed = await json<ScheduleView>('schedules', 'add', 'w1', '--every', '10m', '--replace');
    expect(changed.when).toBe('every 10m');
    expect((await cli('schedules', 'pause', 'w1', '--note', 'holidays')).out).toContain('note: holidays');
    expect((await json<ScheduleView>('schedules', 'show', 'w1')).paused).toBe(true);
    expect((await json<ScheduleView>('schedules', 'resume', 'w1')).paused).toBe(false);
    expect((await cli('schedules', 'trigger', 'w1')).out).toBe('w1 is called by w1\n');
    const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
    expect((await cli('schedules', 'backfill', 'w1', ago(3_600_000), ago(1000))).code).toBe(0);
    expect((await cli('schedules', 'rm', 'w1')).out).toBe('Schedule w1 is deleted\n');
    expect((await cli('schedules', 'ls')).out).toBe('No schedules\n');
  });

  it('say what is wrong, and end with its exit code', async () => {
    const bad = await cli('schedules', 'add', 'w1', '61 * * * *');
    expect([bad.code, bad.err]).toEqual([
      2,
      expect.stringContaining('the minute "61" is not within 0-59; one is "*/5"'),
    ]);
    expect((await cli('schedules', 'show', 'none')).code).toBe(3);
    const six = await cli('schedules', 'add', 'w1', '0 */5 * * * *', '--id', 'six');
    expect(six.out).toContain('! Of 6 fields the last is the year');
    await cli('schedules', 'rm', 'six');
  });
});

describe('agents spawn as a run', () => {
  it('waits for the end, prints what has come of it, and ends with it', async () => {
    const done = await cli(
      'agents',
      'spawn',
      'once',
      '--template',
      'Echo',
      '--task',
      'the week',
      '--cleanup',
      'delete',
      '--timeout',
      '1m',
      '--wait',
    );
    expect([done.code, done.err]).toEqual([0, '']);
    expect(done.out).toContain('succeeded');
    expect(done.out).toContain('did the week');
    expect(await daemon.agent('once')).toBeUndefined();
    const failed = await cli('agents', 'spawn', 'bad', '--template', 'Failing', '--cleanup', 'keep', '--wait');
    expect(failed.code).toBe(6);
  });

  it('is what a task alone means, for an agent that is there', async () => {
    const first = await json<RunView>(
      'agents',
      'spawn',
      'again',
      '--template',
      'Echo',
      '--cleanup',
      'keep',
      '--task',
      'one',
      '--wait',
    );
    const second = await json<RunView>('agents', 'spawn', 'again', '--task', 'two', '--wait');
    expect([first.output, second.output]).toEqual(['did one', 'did two']);
    const { runs } = await json<{ runs: RunView[] }>('runs', 'ls', '--agent', 'again');
    expect(runs.map(({ run_id }) => run_id)).toEqual([second.run_id, first.run_id]);
    expect((await cli('runs', 'show', first.run_id)).out).toContain('did one');
    expect((await cli('runs', 'show', 'none')).code).toBe(3);
  });

  it('is seen among the sessions, and can be cancelled', async () => {
    const begun = await json<RunView>('agents', 'spawn', 'long', '--timeout', '5m', '--', 'sleep', '1000');
    await daemon.untilAgent('long', ({ state }) => state === 'running', 'runs');
    const { runs } = await json<{ runs: RunView[] }>('sessions', 'list');
    expect(runs.map(({ run_id }) => run_id)).toEqual([begun.run_id]);
    expect((await cli('sessions', 'list')).out).toMatch(/AGENT +STATE[\s\S]*RUN +AGENT +STATE/);
    const cancelled = await json<RunView>('runs', 'cancel', begun.run_id);
    expect(cancelled.state).toBe('cancelled');
  });
});
