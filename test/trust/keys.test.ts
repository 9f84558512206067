import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadKeys } from '../../src/trust/keys.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-keys-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const unusable = (message: RegExp) =>
  expect.objectContaining({ code: 'STATE_DIR_UNUSABLE', message: expect.stringMatching(message) });

describe('loadKeys', () => {
  it('makes both secrets once, for their owner only', async () => {
    const first = await loadKeys(folder);
    expect(first.token).toMatch(/^ost_[\w-]{43}$/);
    expect(first.key).toHaveLength(32);
    expect(first.tokenFile).toBe(path.join(folder, 'token'));
    expect(await loadKeys(folder)).toEqual(first);
    expect(await readdir(folder)).toEqual(['key', 'token']);
    for (const name of ['key', 'token']) expect((await stat(path.join(folder, name))).mode & 0o777).toBe(0o600);
  });

  it('gives everybody the same when many ask at once for the first time', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => loadKeys(folder)));
    for (const keys of all) expect(keys).toEqual(all[0]);
    expect(await readdir(folder)).toEqual(['key', 'token']);
  });

  it('refuses a file that others can read, and tells how to close it', async () => {
    const { tokenFile } = await loadKeys(folder);
    await chmod(tokenFile, 0o640);
    await expect(loadKeys(folder)).rejects.toEqual(unusable(/token has mode 0640.*chmod 600/));
  });

  it('refuses a link', async () => {
    await writeFile(path.join(folder, 'real'), 'x', { mode: 0o600 });
    await symlink(path.join(folder, 'real'), path.join(folder, 'key'));
    await expect(loadKeys(folder)).rejects.toEqual(unusable(/key is a symbolic link/));
  });

  it.each(['', 'ost_short', 'garbage\0'])('refuses the damaged content %j instead of replacing it', async (content) => {
    await writeFile(path.join(folder, 'token'), content, { mode: 0o600 });
    await expect(loadKeys(folder)).rejects.toEqual(unusable(/token is damaged/));
  });

  it('refuses a directory in the place of a file, and a state directory that is not there', async () => {
    await expect(loadKeys(path.join(folder, 'missing'))).rejects.toEqual(unusable(/cannot be made/));
    await mkdir(path.join(folder, 'token'));
    await expect(loadKeys(folder)).rejects.toEqual(unusable(/is not a regular file/));
  });
});
