import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Packed, packInto, runQuickstart } from '../support/packed.ts';

describe('the package', () => {
  let dir: string;
  let packed: Packed;

  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-package-'));
    packed = await packInto(dir);
  }, 60_000);

  afterAll(() => rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

  it('holds what runs, and nothing else', () => {
    const { files } = packed;
    for (const needed of [
      'dist/custodian.mjs',
      'dist/workflow-bundle.js',
      'dist/conformance/index.d.ts',
      'dist/ports/plugin.d.ts',
      'tools/temporal/go.mod',
      'README.md',
      'LICENSE',
    ]) {
      expect(files).toContain(needed);
    }
    expect(files.filter((file) => /^(src|test|scripts|bench)\/|\.map$|reports\/|__pycache__/.test(file))).toEqual([]);
  });

  it('runs the quickstart from an empty folder', async () => {
    const { output, code } = await runQuickstart(packed, dir);
    expect(output).toContain('data_worker_007 running');
    expect(output).toContain('Stopped.');
    expect(code).toBe(0);
  }, 90_000);
});
