import { chmodSync, existsSync, readFileSync, readdirSync, symlinkSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTestHost } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

test('spawn starts a generation once', async () => {
  const first = await host.spawn('a', 1, ['sleep', '1000']);
  const second = await host.spawn('a', 1, ['sleep', '1000']);
  expect(first).toMatchObject({ adopted: false, custody: { fence: 1, live: { generation: 1, pid: first.pid } } });
  expect(second).toEqual({ ...first, adopted: true });
});

test('spawn refuses another generation while one lives', async () => {
  const { pid } = await host.spawn('a', 2, ['sleep', '1000']);
  for (const generation of [1, 3]) {
    const spawning = host.spawn('a', generation, ['sleep', '1000']);
    await expect(spawning).rejects.toMatchObject({
      code: 'SUPERSEDED',
      custody: { fence: 2, live: { generation: 2, pid } },
    });
  }
});

test('spawn refuses a generation at or below the fence', async () => {
  await host.spawn('a', 3, ['true']);
  await host.exitOf('a');
  for (const generation of [2, 3]) {
    await expect(host.spawn('a', generation, ['true'])).rejects.toMatchObject({
      code: 'SUPERSEDED',
      custody: { fence: 3 },
    });
  }
  await host.client.request('forget', { agent: 'a' });
  await expect(host.spawn('a', 3, ['true'])).rejects.toMatchObject({ code: 'SUPERSEDED', custody: { fence: 3 } });
  expect((await host.spawn('a', 4, ['true'])).custody.fence).toBe(4);
});

test('spawn says what is wrong with the command', async () => {
  const file = join(host.stateDir, 'plain.txt');
  writeFileSync(file, 'hello\n');
  const script = join(host.stateDir, 'script');
  writeFileSync(script, '#!/no/such/interpreter\n');
  chmodSync(script, 0o755);
  const cases: [string[], string, RegExp][] = [
    [['no-such-command'], 'ENOENT', /"no-such-command" in PATH \(.*install it/],
    [['/no/such/command'], 'ENOENT', /\/no\/such\/command does not exist/],
    [[file], 'EACCES', /plain\.txt is not an executable file.*chmod \+x/],
    [['/tmp'], 'EACCES', /\/tmp is not an executable file/],
    [[script], 'ENOENT', /names the interpreter "\/no\/such\/interpreter"/],
  ];
  for (const [command, errno, message] of cases) {
    const spawning = host.spawn('a', 1, command);
    await expect(spawning, command[0]).rejects.toMatchObject({
      code: 'SPAWN_FAILED',
      errno,
      message: expect.stringMatching(message),
    });
  }
});

test('spawn says what is wrong with the working directory', async () => {
  const file = join(host.stateDir, 'plain.txt');
  writeFileSync(file, '');
  const inside = (cwd: string) => host.spawn('a', 1, ['true'], { cwd });
  await expect(inside('/no/such')).rejects.toMatchObject({
    code: 'SPAWN_FAILED',
    errno: 'ENOENT',
    message: expect.stringContaining('/no/such'),
  });
  await expect(inside(file)).rejects.toMatchObject({ code: 'SPAWN_FAILED', errno: 'ENOTDIR' });
  await expect(inside('relative')).rejects.toMatchObject({
    code: 'BAD_REQUEST',
    message: expect.stringContaining('`cwd`'),
  });
});

test('spawn that failed leaves its generation usable', async () => {
  const script = join(host.stateDir, 'script');
  writeFileSync(script, '#!/no/such/interpreter\n');
  chmodSync(script, 0o755);
  await expect(host.spawn('a', 1, [script])).rejects.toMatchObject({ code: 'SPAWN_FAILED' });
  expect(await host.client.request('custody', { agent: 'a' })).toEqual({ fence: 0 });
  expect((await host.spawn('a', 1, ['sleep', '1000'])).adopted).toBe(false);
});

test('spawn finds a relative command in the working directory', async () => {
  writeFileSync(join(host.stateDir, 'run'), '#!/bin/sh\nexit 6\n');
  chmodSync(join(host.stateDir, 'run'), 0o755);
  await host.spawn('a', 1, ['./run']);
  expect((await host.exitOf('a')).exit.code).toBe(6);
});

test('spawn gives the text as standard input and leaves no file of it', async () => {
  const text = `first\n${'x'.repeat(200_000)}\n`;
  await host.spawn('a', 1, ['sh', '-c', 'wc -c; readlink /proc/$$/fd/0'], { stdin: text });
  await host.exitOf('a');
  expect(host.log('a', 1)).toMatch(/^200007\n.*\(deleted\)\n$/);
  expect(readdirSync(host.stateDir).filter((name) => name.startsWith('stdin'))).toEqual([]);
});

test('spawn gives /dev/null as standard input without a text', async () => {
  await host.spawn('a', 1, ['sh', '-c', 'cat; echo end']);
  await host.exitOf('a');
  expect(host.log('a', 1)).toBe('end\n');
});

test('spawn gives exactly the environment that was asked for, and the marker', async () => {
  await host.spawn('a', 1, ['env'], {
    env: { PATH: '/usr/bin:/bin', COLOUR: 'blue', OPENSTARRY_INCARNATION: 'forged/1/0' },
  });
  await host.exitOf('a');
  expect(host.log('a', 1).trim().split('\n').toSorted()).toEqual([
    'COLOUR=blue',
    expect.stringMatching(/^OPENSTARRY_INCARNATION=a\/1\/[0-9a-f]{24}$/),
    'PATH=/usr/bin:/bin',
  ]);
});

test('spawn never writes the environment or the standard input down', async () => {
  await host.spawn('a', 1, ['true'], { env: { PATH: '/bin', KEY: 'sec' + 'ret-1' }, stdin: 'sec' + 'ret-2' });
  await host.exitOf('a');
  for (const name of ['custody.journal', 'custodian.log', 'custodian.json']) {
    expect(readFileSync(join(host.stateDir, name), 'utf8')).not.toMatch(/secret-[12]/);
  }
});

test('spawn encodes the case of an id in its file names', async () => {
  await host.spawn('Agent.X', 1, ['true']);
  await host.exitOf('Agent.X');
  expect(existsSync(join(host.stateDir, 'logs', '=agent.=x', '1.log'))).toBe(true);
});

test('spawn follows no link in place of a log', async () => {
  const target = join(host.stateDir, 'target');
  writeFileSync(target, 'untouched');
  mkdirSync(join(host.stateDir, 'logs', 'a'), { recursive: true });
  symlinkSync(target, join(host.stateDir, 'logs', 'a', '1.log'));
  await expect(host.spawn('a', 1, ['echo', 'overwritten'])).rejects.toMatchObject({
    code: 'SPAWN_FAILED',
    errno: 'ELOOP',
  });
  symlinkSync(host.stateDir, join(host.stateDir, 'logs', 'b'));
  await expect(host.spawn('b', 1, ['echo', 'overwritten'])).rejects.toMatchObject({
    code: 'SPAWN_FAILED',
    errno: 'ENOTDIR',
  });
  expect(readFileSync(target, 'utf8')).toBe('untouched');
});

test('spawn keeps the logs of the last ten incarnations', async () => {
  for (let generation = 1; generation <= 12; generation += 1) {
    await host.spawn('a', generation, ['true']);
    await host.exitOf('a', generation);
  }
  const { until } = await import('../support/wait.ts');
  const logs = () => readdirSync(join(host.stateDir, 'logs', 'a')).toSorted();
  await until(() => logs().length === 10, { what: 'ten logs' });
  expect(logs()).not.toContain('1.log');
  expect(logs()).not.toContain('2.log');
  expect(logs()).toContain('12.log');
});
