import { afterEach, expect, it } from 'vitest';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon | undefined;
afterEach(async () => daemon?.end());

it('a registry finds new files on reload, and lets go of those that are gone', async () => {
  daemon = await TestDaemon.make({ registry: { path: './agents' } });
  const { dir } = daemon;
  const put = (name: string, text: string, mode = 0o644) => writeFile(path.join(dir, 'agents', name), text, { mode });
  await mkdir(path.join(dir, 'agents'));
  await put('first.sh', '#!/bin/sh\nexec sleep 36041\n', 0o755);
  await daemon.start();
  const first = await daemon.untilAgent('first', (a) => a.state === 'running', 'running');

  await put('second.js', 'setInterval(() => undefined, 1000);\n');
  await put('third.py', 'import time\ntime.sleep(36042)\n');
  const { body } = await daemon.call('POST', '/reload');
  expect(body).toMatchObject({ added: ['second', 'third'], unchanged: ['first'] });
  for (const id of ['second', 'third']) await daemon.untilAgent(id, (a) => a.state === 'running', 'running');
  await rm(path.join(dir, 'agents', 'second.js'));
  await daemon.call('POST', '/reload');
  await until(async () => (await daemon!.agent('second')) === undefined, { what: 'the deletion' });
  expect((await daemon.agent('first'))?.pid).toBe(first.pid);
}, 60_000);
