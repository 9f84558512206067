// `npm test`: makes the clone ready, runs all tests, and ends with the line `N passed, N failed`. Arguments after `--` go
// to vitest, such as a part of a file's name. Node's own modules only.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { main, readJson, ROOT, setUp } from './setup.mjs';

/**
 * Counts what vitest's JSON report says. A file that did not even load counts as one failure, and so does a run that
 * failed otherwise (an unhandled error, no report, no test at all).
 */
export function countResults(report, exitCode) {
  const passed = report?.numPassedTests ?? 0;
  const unloaded = (report?.testResults ?? []).filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  let failed = (report?.numFailedTests ?? 0) + unloaded.length;
  if (failed === 0 && (exitCode !== 0 || passed === 0)) failed = 1;
  return { passed, failed, skipped: (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0) };
}

/** More files than this that fail are not tests in a hurry. */
const MAX_AGAIN = 3;
const UNHANDLED = path.join(ROOT, 'scripts', 'unhandled-errors.mjs');

/**
 * The files whose failures deserve a second run, alone: with the others beside it, a test with a limit in seconds can be
 * in want of a processor. None of the chaos cases, since what broke a promise once has broken it; and none if something
 * else failed that no test can be blamed for.
 */
export function filesToRunAgain({ report, unhandledErrors }) {
  if (unhandledErrors !== 0) return [];
  const failed = (report?.testResults ?? []).filter((file) => file.status === 'failed').map((file) => file.name);
  const isChaos = (name) => name.split(path.sep).includes('chaos');
  return failed.length > MAX_AGAIN || failed.some(isChaos) ? [] : failed;
}

/** @returns the titles of what failed in the first run and passed in the second */
export function passedAgain(first, second) {
  const titlesOf = (report, status) =>
    (report?.testResults ?? []).flatMap((file) =>
      file.assertionResults.filter((test) => test.status === status).map((test) => test.fullName),
    );
  const passed = new Set(titlesOf(second, 'passed'));
  return titlesOf(first, 'failed').filter((title) => passed.has(title));
}

/** The first run's report, with the files that ran again as they were the second time. */
export function withSecondRun(first, second, again) {
  const kept = first.testResults.filter((file) => !again.includes(file.name));
  const testResults = [...kept, ...(second?.testResults ?? [])];
  const count = (...statuses) =>
    testResults.flatMap((file) => file.assertionResults).filter((test) => statuses.includes(test.status)).length;
  return {
    testResults,
    numPassedTests: count('passed'),
    numFailedTests: count('failed'),
    numPendingTests: count('pending', 'skipped', 'disabled'),
    numTodoTests: count('todo'),
  };
}

async function runTests(args) {
  await setUp();
  await build();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'openstarry-test-report-'));
  const vitest = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
  const run = async (name, ...given) => {
    const file = path.join(folder, name);
    const unhandled = `${file}.unhandled`;
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`, `--reporter=${UNHANDLED}`];
    const env = { OPENSTARRY_UNHANDLED_ERRORS: unhandled };
    const exitCode = await runInForeground([vitest, 'run', ...reporters, ...given], env);
    return { exitCode, report: readJson(file), unhandledErrors: readJson(unhandled)?.count };
  };
  try {
    const first = await run('first.json', ...args);
    const again = first.exitCode === 0 || isInterrupted ? [] : filesToRunAgain(first);
    let { passed, failed, skipped } = countResults(first.report, first.exitCode);
    if (again.length > 0) {
      process.stdout.write(`\nA second run, alone, of what failed: ${again.join(', ')}\n`);
      const second = await run('second.json', '--no-file-parallelism', ...again);
      ({ passed, failed, skipped } = countResults(withSecondRun(first.report, second.report, again), second.exitCode));
      for (const title of passedAgain(first.report, second.report))
        process.stdout.write(`\nPassed only in the second run, and to be mended: ${title}`);
      process.stdout.write('\n');
    }
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
    return failed > 0 ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let isInterrupted = false;

function runInForeground(args, env) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
  process.on('SIGINT', () => (isInterrupted = true)); // the terminal told the tests as well: wait until they have cleaned up
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => runTests(process.argv.slice(2)));
