import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';

const run = promisify(execFile);

test('hostId is the same for all that ask at the same time, also for the first time', async () => {
  const home = await mkdtemp(path.join(os.tmpdir(), 'openstarry-host-id-'));
  try {
    const module = path.join(inject('root'), 'dist', 'daemon', 'state-dir.js');
    // Waits for the same moment, as twenty starts of a script would.
    const script = `
      const { StateDir } = await import(${JSON.stringify(module)});
      const dir = new StateDir({ OPENSTARRY_HOME: ${JSON.stringify(home)} });
      while (Date.now() < ${Date.now() + 1_500});
      console.log(dir.hostId());`;
    const ask = () => run(process.execPath, ['--input-type=module', '-e', script]);
    const ids = (await Promise.all(Array.from({ length: 8 }, ask))).map(({ stdout }) => stdout.trim());
    expect(new Set(ids).size).toBe(1);
    expect(await readFile(path.join(home, 'orchestrator', 'host-id'), 'utf8')).toBe(`${ids[0]}\n`);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
