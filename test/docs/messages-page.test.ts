import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { seatOf } from '../sdk/seats.ts';
import { TestDaemon } from '../support/daemon.ts';
import { page } from './pages.ts';

const SECONDS_FOR_CURL = 30;

let daemon: TestDaemon;
let api: string;
let bin: string;

beforeAll(async () => {
  daemon = await TestDaemon.make({});
  await daemon.start();
  api = `127.0.0.1:${(await daemon.status()).ports.api}`;
  bin = path.join(daemon.dir, 'bin');
  await mkdir(bin);
  await symlink(path.join(daemon.dir, 'home'), path.join(daemon.dir, '.openstarry'));
  const program = async (name: string, ...lines: string[]): Promise<void> => {
    await writeFile(path.join(bin, name), ['#!/bin/sh', ...lines, ''].join('\n'));
    await chmod(path.join(bin, name), 0o755);
  };
  const entry = path.join(inject('root'), 'dist', 'cli', 'main.js');
  await program('openstarry-daemon', `exec ${process.execPath} ${entry} "$@"`);
  // The page's curl says nothing of a refusal; here it is the end.
  await program('curl', `exec ${await whereIs('curl')} --fail-with-body --max-time ${SECONDS_FOR_CURL} "$@"`);
}, 60_000);
afterAll(() => daemon?.end());

async function whereIs(name: string): Promise<string> {
  return (await shell(`command -v ${name}`, process.env)).out.trim();
}

/** Ends at the first line that fails. */
async function shell(script: string, env: NodeJS.ProcessEnv): Promise<{ code: number | null; out: string }> {
  const child = spawn('bash', ['-euxo', 'pipefail', '-c', script], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  return { code: child.exitCode, out: child.exitCode === 0 ? out : `${said}${out}` };
}

const blocksOf = (file: string): string[] =>
  [...page(file).text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block as string);

it('docs/messages.md: every line of its shell blocks can be run, one after the other', async () => {
  const script = blocksOf('docs/messages.md').join('\n').replaceAll('127.0.0.1:5050', api);
  const { PATH = '' } = process.env;
  const env = { HOME: daemon.dir, OPENSTARRY_HOME: path.join(daemon.dir, 'home'), PATH: `${bin}:${PATH}` };
  const { code, out } = await shell(script, env);
  expect([code, code === 0 ? '' : out]).toEqual([0, '']);
  expect(out).toContain('"duplicate":false');
  expect(out).toContain('"version":2');
  // What was sent is where the page says.
  const { body } = await daemon.call('GET', '/queues/analysis/messages/size');
  expect(body).toEqual({ size: 1, ready: 0, leased: 1, delayed: 0, dead: 0 });
}, 60_000);

it('docs/sdk.md: the loop in a shell takes a task, answers it and acknowledges it', async () => {
  const worker = await seatOf(daemon, 'shell-worker');
  const asking = await seatOf(daemon, 'asking');
  const sent = await fetch(`${asking['OPENSTARRY_API_URL']}/agents/shell-worker/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${asking['OPENSTARRY_TOKEN']}`, 'content-type': 'application/json' },
    body: JSON.stringify({ type: 'TASK_DELEGATE', payload: {}, correlation_id: 'task-1' }),
  });
  expect(sent.status).toBe(201);
  const { code, out } = await shell(blocksOf('docs/sdk.md').join('\n'), {
    ...worker,
    PATH: `${bin}:${process.env['PATH']}`,
  });
  expect([code, code === 0 ? '' : out]).toEqual([0, '']);
  const { body } = await daemon.call('GET', '/messages?correlation_id=task-1');
  expect(body).toMatchObject({ messages: [{ queue: '@asking', from: 'shell-worker', payload: { ok: true } }] });
  await daemon.untilAgent('shell-worker', ({ heartbeat }) => heartbeat?.progress === '1 task', 'beating');
}, 30_000);
