// `npm run chaos`: the cases of test/chaos at full length, and their table. It ends with an error if
// any promise was broken. Arguments after `--` go to vitest, such as a part of a file's name or `-t` and a part of a case's.
//   OPENSTARRY_CHAOS_SEED     repeats the random rounds of an earlier run
//   OPENSTARRY_CHAOS_REPORT   keeps the rows, as JSON lines
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build } from './build.mjs';
import { main, ROOT, setUp } from './setup.mjs';

const TIMED = ['adoption', 'commands', 'disk', 'trees'].map((name) => `${name}.test.ts`);

async function runChaos(args) {
  await setUp();
  await build();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'openstarry-chaos-report-'));
  try {
    const report = process.env.OPENSTARRY_CHAOS_REPORT ?? path.join(folder, 'rows.jsonl');
    rmSync(report, { force: true }); // rows are added to it, and those of an earlier run are none of this one
    const vitest = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
    let isInterrupted = false;
    // The terminal told the tests as well: wait until they have cleaned up.
    process.on('SIGINT', () => (isInterrupted = true));
    let exitCode = 0;
    for (const pass of passesOf(args)) {
      if (isInterrupted) break;
      const child = spawn(process.execPath, [vitest, 'run', '--project', 'system', ...pass], {
        cwd: ROOT,
        stdio: 'inherit',
        env: { ...process.env, OPENSTARRY_CHAOS: 'full', OPENSTARRY_CHAOS_REPORT: report },
      });
      exitCode = Math.max(exitCode, await new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1))));
    }
    const rows = readRows(report);
    process.stdout.write(`\n${tableOf(rows)}\n`);
    const violations = rows.reduce((sum, row) => sum + row.violations.length, 0);
    const skipped = rows.filter(({ rounds }) => rounds === 0).length;
    process.stdout.write(`${rows.length} cases, ${violations} violations, ${skipped} skipped\n`);
    return exitCode === 0 && !isInterrupted && violations === 0 && rows.length > 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Cases of seconds by the clock have the machine for themselves. The others mostly wait, for time-outs that have to pass
 * before something that was lost is missed: three files at a time.
 */
function passesOf(args) {
  if (args.length > 0) {
    const isFiltered = args.some((arg) => !arg.startsWith('-'));
    return [['--no-file-parallelism', ...(isFiltered ? args : ['test/chaos', ...args])]];
  }
  const files = readdirSync(path.join(ROOT, 'test', 'chaos')).filter((name) => name.endsWith('.test.ts'));
  const of = (isTimed) => files.filter((name) => TIMED.includes(name) === isTimed).map((name) => `test/chaos/${name}`);
  return [
    ['--maxWorkers=3', ...of(false)],
    ['--no-file-parallelism', ...of(true)],
  ];
}

function readRows(file) {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(JSON.parse);
  } catch {
    return [];
  }
}

/** In Markdown, so that it can be put into docs/reliability.md as it is. */
function tableOf(rows) {
  const lines = rows.map((row) => `| ${row.case} | ${row.rounds} | ${row.violations.length} | ${row.figures} |`);
  const broken = rows.flatMap((row) => row.violations.slice(0, 10).map((violation) => `  ${row.case}: ${violation}`));
  return ['| case | rounds | violations | figures |', '|---|---|---|---|', ...lines, '', ...broken].join('\n');
}

await main(() => runChaos(process.argv.slice(2)));
