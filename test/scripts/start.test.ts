import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { until } from '../support/wait.ts';

// `npm start` of a clone in which nothing is stale, with a small program in the daemon's place.
const DAEMON = `
let interrupts = 0;
process.on('SIGINT', () => { interrupts += 1; process.stdout.write('interrupt ' + interrupts + '\\n'); });
process.on('SIGTERM', () => { process.stdout.write('stopping\\n'); setTimeout(() => process.exit(0), 50); });
process.on('SIGUSR2', () => process.exit(78));
process.on('SIGHUP', () => process.stdout.write('reload\\n'));
setInterval(() => {}, 1000);
process.stdout.write('started ' + process.argv.slice(2).join(' ') + ' ' + process.pid + '\\n');
`;

let clone: string;
let npm: ChildProcess;
let output: string;
let ended: Promise<number | null>;

beforeEach(async () => {
  clone = await mkdtemp(path.join(os.tmpdir(), 'openstarry-start-'));
  await cp(path.join(inject('root'), 'scripts'), path.join(clone, 'scripts'), { recursive: true });
  await mkdir(path.join(clone, 'dist', 'cli'), { recursive: true });
  await mkdir(path.join(clone, 'node_modules'));
  const { scripts } = JSON.parse(await readFile(path.join(inject('root'), 'package.json'), 'utf8')) as {
    scripts: object;
  };
  await writeFile(path.join(clone, 'package.json'), JSON.stringify({ type: 'module', scripts }));
  for (const file of ['package-lock.json', 'node_modules/.package-lock.json'])
    await writeFile(path.join(clone, file), '{ "packages": {} }');
  await writeFile(path.join(clone, 'dist', 'cli', 'main.js'), DAEMON);
  output = '';
  npm = spawn('npm', ['start', '--', '--config', 'a b.yaml'], {
    cwd: clone,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [npm.stdout, npm.stderr])
    stream?.on('data', (chunk: Buffer) => void (output += chunk.toString()));
  ended = new Promise((resolve) => npm.once('exit', resolve));
  await says('started');
});

afterEach(async () => {
  if (isAlive(daemonPid())) process.kill(daemonPid(), 'SIGKILL');
  await ended;
  await rm(clone, { recursive: true, force: true });
});

const says = (text: string): Promise<boolean> =>
  until(() => output.includes(text), { what: `"${text}" in ${output}`, deadlineMs: 20_000 });
const daemonPid = (): number => Number(/started .* (\d+)\n/.exec(output)?.[1]);
/** What a terminal does on Ctrl-C: every process of its foreground group is told. */
const ctrlC = (): boolean => process.kill(-(npm.pid ?? 0), 'SIGINT');

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('npm start', () => {
  test('passes arguments on, and a Ctrl-C once, although the terminal and npm both tell', async () => {
    expect(output).toContain('started start --config a b.yaml');
    ctrlC();
    await says('interrupt 1');
    // npm forwarded its copy at once: whatever was passed on comes before this answer.
    process.kill(daemonPid(), 'SIGHUP');
    await says('reload');
    expect(output).not.toContain('interrupt 2');
    process.kill(daemonPid(), 'SIGTERM');
    expect(await ended).toBe(0);
  });

  test('waits for the daemon after SIGTERM to npm', async () => {
    npm.kill('SIGTERM');
    await says('stopping');
    await ended;
    expect(isAlive(daemonPid())).toBe(false);
  });

  test('ends with the exit code of the daemon', async () => {
    process.kill(daemonPid(), 'SIGUSR2');
    expect(await ended).toBe(78);
  });
});
