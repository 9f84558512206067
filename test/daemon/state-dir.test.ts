import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';

const run = promisify(execFile);
/** The moment between reading and writing is short: many directories, each asked for at the same time. */
const DIRECTORIES = 300;
const SLOT_MS = 4;

test('hostId is the same for all that ask at the same time, also for the first time', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-host-id-'));
  try {
    const module = path.join(inject('root'), 'dist', 'daemon', 'state-dir.js');
    const script = `
      const { StateDir } = await import(${JSON.stringify(module)});
      const ids = [];
      for (let n = 0; n < ${DIRECTORIES}; n += 1) {
        const dir = new StateDir({ OPENSTARRY_HOME: ${JSON.stringify(folder)} + '/' + n });
        while (Date.now() < ${Date.now() + 1_500} + n * ${SLOT_MS});
        ids.push(dir.hostId());
      }
      console.log(JSON.stringify(ids));`;
    const ask = async () =>
      JSON.parse((await run(process.execPath, ['--input-type=module', '-e', script])).stdout) as string[];
    const [one, other] = await Promise.all([ask(), ask()]);
    expect(one).toEqual(other);
    expect(await readFile(path.join(folder, '0', 'orchestrator', 'host-id'), 'utf8')).toBe(`${one[0]}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
