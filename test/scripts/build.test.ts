import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { runCommand } from '../../src/daemon/run-command.ts';

interface BuildLock {
  withBuildLock: <T>(file: string, body: () => Promise<T>) => Promise<T>;
}
interface Report {
  testResults: Array<{ name: string; status: string; assertionResults: Array<{ fullName: string; status: string }> }>;
}
interface TestScript {
  filesToRunAgain: (run: { report: Report | undefined; unhandledErrors: number | undefined }) => string[];
  passedAgain: (first: Report, second: Report) => string[];
  withSecondRun: (first: Report, second: Report | undefined, again: string[]) => object;
  countResults: (report: object | undefined, exitCode: number) => { passed: number; failed: number; skipped: number };
}
const scripts = path.join(inject('root'), 'scripts');
const { withBuildLock } = (await import(path.join(scripts, 'build-lock.mjs'))) as BuildLock;
const { countResults, filesToRunAgain, passedAgain, withSecondRun } = (await import(
  path.join(scripts, 'test.mjs')
)) as TestScript;

describe('withBuildLock', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-lock-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test('lets one in at a time and goes when it is done, also by an error', async () => {
    const file = path.join(folder, 'lock');
    let inside = 0;
    const enter = (): Promise<number> =>
      withBuildLock(file, async () => {
        inside += 1;
        expect(await readFile(file, 'utf8')).toBe(String(process.pid));
        const seen = inside;
        inside -= 1;
        return seen;
      });
    expect(await Promise.all([enter(), enter(), enter()])).toEqual([1, 1, 1]);
    await expect(withBuildLock(file, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(existsSync(file)).toBe(false);
  });

  test('takes over the lock of a process that is gone', async () => {
    const { output } = await runCommand(process.execPath, ['-p', 'process.pid']);
    await writeFile(path.join(folder, 'lock'), output.trim());
    expect(await withBuildLock(path.join(folder, 'lock'), async () => 'in')).toBe('in');
  });
});

describe('build.mjs', () => {
  test('has nothing to do a second time', async () => {
    const run = (): ReturnType<typeof runCommand> => runCommand(process.execPath, [path.join(scripts, 'build.mjs')]);
    await run();
    const { code, output } = await run();
    expect({ code, output }).toEqual({ code: 0, output: 'openstarry: dist is up to date\n' });
  });
});

describe('countResults', () => {
  const file = (status: string, assertions = 1): object => ({
    status,
    assertionResults: Array.from({ length: assertions }, () => ({})),
  });

  test('counts what the report says', () => {
    const report = {
      numPassedTests: 7,
      numFailedTests: 2,
      numPendingTests: 1,
      numTodoTests: 1,
      testResults: [file('failed')],
    };
    expect(countResults(report, 1)).toEqual({ passed: 7, failed: 2, skipped: 2 });
  });

  test('counts a file that did not load as a failure', () => {
    const report = { numPassedTests: 7, numFailedTests: 0, testResults: [file('passed'), file('failed', 0)] };
    expect(countResults(report, 1)).toEqual({ passed: 7, failed: 1, skipped: 0 });
  });

  test.each([
    ['another reason', { numPassedTests: 7, testResults: [] }, 1, 7],
    ['a missing report', undefined, 1, 0],
    ['no test at all', { numPassedTests: 0, testResults: [] }, 0, 0],
  ])('a run that failed for %s is never green', (_name, report, exitCode, passed) => {
    expect(countResults(report, exitCode)).toEqual({ passed, failed: 1, skipped: 0 });
  });
});

describe('a second run', () => {
  const file = (name: string, ...statuses: string[]): Report['testResults'][number] => ({
    name,
    status: statuses.includes('failed') ? 'failed' : 'passed',
    assertionResults: statuses.map((status, index) => ({ fullName: `${name} ${index}`, status })),
  });
  const first: Report = {
    testResults: [
      file('/test/a.test.ts', 'passed', 'failed'),
      file('/test/b.test.ts', 'passed', 'todo'),
      { ...file('/test/c.test.ts'), status: 'failed' },
    ],
  };
  const again = ['/test/a.test.ts', '/test/c.test.ts'];

  test('is for the few files that failed, and never for a broken promise', () => {
    const filesOf = (report: Report | undefined, unhandledErrors: number | undefined = 0): string[] =>
      filesToRunAgain({ report, unhandledErrors });
    expect(filesOf(first)).toEqual(again);
    expect(filesOf({ testResults: [file('/test/b.test.ts', 'passed')] })).toEqual([]);
    expect(filesOf({ testResults: [...first.testResults, file('/test/chaos/x.test.ts', 'failed')] })).toEqual([]);
    expect(filesOf({ testResults: ['d', 'e', 'f', 'g'].map((name) => file(name, 'failed')) })).toEqual([]);
    expect(filesOf(undefined)).toEqual([]);
    expect([filesOf(first, 1), filesToRunAgain({ report: first, unhandledErrors: undefined })]).toEqual([[], []]);
  });

  test('counts instead of the first, and names what only it passed', () => {
    const second: Report = {
      testResults: [file('/test/a.test.ts', 'passed', 'passed'), file('/test/c.test.ts', 'passed')],
    };
    expect(countResults(withSecondRun(first, second, again), 0)).toEqual({ passed: 4, failed: 0, skipped: 1 });
    expect(passedAgain(first, second)).toEqual(['/test/a.test.ts 1']);
  });

  test('is red where what failed fails again, or nothing was reported', () => {
    const second: Report = {
      testResults: [file('/test/a.test.ts', 'passed', 'failed'), file('/test/c.test.ts', 'passed')],
    };
    expect(countResults(withSecondRun(first, second, again), 1)).toEqual({ passed: 3, failed: 1, skipped: 1 });
    expect(passedAgain(first, second)).toEqual([]);
    expect(countResults(withSecondRun(first, undefined, again), 1)).toMatchObject({ failed: 1 });
  });
});
