import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderTemplates } from '../../../src/adapters/templates/folder-templates.ts';
import { templateSourceContract } from '../../contracts/template-source-contract.ts';

let folder: string;
let templates: FolderTemplates;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-templates-'));
  templates = new FolderTemplates(folder);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = (name: string, content: string) => writeFile(path.join(folder, name), content);
const failing = (code: string, message: string | RegExp) =>
  expect.objectContaining({
    code,
    message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
  });

templateSourceContract('FolderTemplates as a source of templates', async () => {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-templates-'));
  return {
    source: new FolderTemplates(dir),
    put: (id, content) => writeFile(path.join(dir, `${id}.json`), content),
    remove: (id) => rm(path.join(dir, `${id}.json`)),
    dispose: () => rm(dir, { recursive: true, force: true }),
  };
});

describe('FolderTemplates.load', () => {
  it.each([
    ['T.yaml', 'id: T\ncommand: [a, "1"]'],
    ['T.yml', 'id: T\ncommand: [a, "1"]'],
    ['T.json', '{"id":"T","command":["a","1"]}'],
  ])('reads %s', async (name, content) => {
    await put(name, content);
    expect(await templates.load('T')).toEqual({
      id: 'T',
      location: path.join(folder, name),
      version: expect.stringMatching(/^[0-9a-f]{64}$/),
      data: { id: 'T', command: ['a', '1'] },
    });
  });

  it('reads again what has changed, also when it was replaced by a file of the same size', async () => {
    await put('T.yaml', 'a: 1');
    const first = await templates.load('T');
    expect(await templates.load('T')).toBe(first);
    await put('new', 'a: 2');
    await rename(path.join(folder, 'new'), path.join(folder, 'T.yaml'));
    const second = await templates.load('T');
    expect(second.data).toEqual({ a: 2 });
    expect(second.version).not.toBe(first.version);
    await put('T.yaml', 'a: 1');
    expect((await templates.load('T')).version).toBe(first.version);
  });

  it('names template, files and folder when there is none', async () => {
    await expect(templates.load('T')).rejects.toEqual(
      failing('TEMPLATE_NOT_FOUND', `There is no template "T": looked for T.yaml, T.yml, T.json in ${folder}`),
    );
    const nowhere = new FolderTemplates(path.join(folder, 'nowhere'));
    await expect(nowhere.load('T')).rejects.toEqual(failing('TEMPLATE_NOT_FOUND', 'nowhere'));
  });

  it.each(['../T', '/etc/passwd', '.', '..', '', 'a/b', 'a\0', 'T.yaml/..', '-x', 'x'.repeat(129)])(
    'does not leave the folder for %j',
    async (id) => {
      await put('T.yaml', 'a: 1');
      await expect(templates.load(id)).rejects.toEqual(failing('TEMPLATE_NOT_FOUND', 'such a name is not possible'));
    },
  );

  it('refuses what cannot be parsed, with line and column', async () => {
    await put('T.yaml', 'a: [1\nb: 2');
    await expect(templates.load('T')).rejects.toEqual(
      failing('TEMPLATE_INVALID', /^Template T \(.+T\.yaml\): cannot be parsed: .*at line 2, column 1/),
    );
    await put('U.json', '{"a":');
    await expect(templates.load('U')).rejects.toEqual(failing('TEMPLATE_INVALID', 'cannot be parsed'));
  });

  it('refuses a bomb of aliases, a file above 1 MiB, a folder, and two files of one id', async () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefg'.split('').map((c, n) => `${c}: &${c} [${`*${'abcdef'[n]},`.repeat(9)}]`),
    ];
    await put('bomb.yaml', bomb.join('\n'));
    await expect(templates.load('bomb')).rejects.toEqual(failing('TEMPLATE_INVALID', 'Excessive alias count'));
    await put('big.yaml', `# ${'x'.repeat(1024 * 1024)}`);
    await expect(templates.load('big')).rejects.toEqual(failing('TEMPLATE_INVALID', 'the limit is 1048576'));
    await mkdir(path.join(folder, 'folder.yaml'));
    await expect(templates.load('folder')).rejects.toEqual(failing('TEMPLATE_INVALID', 'is not a regular file'));
    await put('two.yaml', 'a: 1');
    await put('two.json', '{}');
    await expect(templates.load('two')).rejects.toEqual(
      failing('TEMPLATE_INVALID', /there is also .*two\.json; remove one of them/),
    );
  });

  it('follows a link, as mounted configuration consists of them', async () => {
    await put('data', 'a: 1');
    await symlink('data', path.join(folder, 'T.yaml'));
    expect((await templates.load('T')).data).toEqual({ a: 1 });
  });

  it('keeps a key __proto__ as a key', async () => {
    await put('T.yaml', '__proto__: { polluted: true }');
    const { data } = await templates.load('T');
    expect(Object.keys(data as object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});

describe('FolderTemplates.list', () => {
  it('tells the ids, sorted and once each', async () => {
    for (const name of ['b.yaml', 'a.json', 'a.yml', 'C.yaml', 'x.txt', '.hidden.yaml', 'no id.yaml'])
      await put(name, '');
    expect(await templates.list()).toEqual({ ids: ['C', 'a', 'b'] });
    expect(await new FolderTemplates(path.join(folder, 'nowhere')).list()).toEqual({ ids: [] });
  });
});
