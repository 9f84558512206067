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

async function runTests(args) {
  await setUp();
  await build();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'openstarry-test-report-'));
  try {
    const report = path.join(folder, 'report.json');
    const vitest = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const exitCode = await runInForeground([vitest, 'run', ...reporters, ...args]);
    const { passed, failed, skipped } = countResults(readJson(report), exitCode);
    process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
    return failed > 0 ? 1 : 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runInForeground(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
  process.on('SIGINT', () => {}); // the terminal told the tests as well: wait until they have cleaned up
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => runTests(process.argv.slice(2)));
