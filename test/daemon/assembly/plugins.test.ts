import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import type { LoadedConfig, PluginSettings } from '../../../src/config/config.ts';
import { busOptions, drain, sendOne } from '../../../src/conformance/fixture.ts';
import { checkPlugins, type Infrastructure, openInfrastructure } from '../../../src/daemon/assembly/plugins.ts';
import { startRedis } from '../../support/redis.ts';
import { until } from '../../support/wait.ts';

const redisServer = inject('redisServer');
const SQLITE: PluginSettings = { use: 'sqlite', settings: {} };

let dir: string;
const opened: Infrastructure[] = [];
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-plugins-'));
});
afterEach(async () => {
  for (const { bus, state } of opened.splice(0)) await Promise.all([bus.close(), state.close()]);
  await rm(dir, { recursive: true, force: true });
});

/** Writes a file of a package, or one beside the configuration. */
async function write(name: string, content: string | object): Promise<void> {
  const file = path.join(dir, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
}

async function open(plugins: Partial<LoadedConfig['plugins']>, openLimitMs = 10_000): Promise<Infrastructure> {
  const infrastructure = await openInfrastructure({
    config: { plugins: { bus: SQLITE, state: SQLITE, ...plugins } },
    stateDir: { file: (...names) => path.join(dir, 'state', ...names) },
    baseDir: dir,
    busOptions: busOptions(),
    stateOptions: { warn: () => undefined },
    openLimitMs,
  });
  opened.push(infrastructure);
  return infrastructure;
}

const refusal = async (plugins: Partial<LoadedConfig['plugins']>, openLimitMs?: number): Promise<string> => {
  const error = await open(plugins, openLimitMs).catch(
    (thrown: unknown) => thrown as { code: string; message: string },
  );
  expect(error).toMatchObject({ code: 'PLUGIN_FAILED' });
  return (error as { message: string }).message;
};

/** The module of a plugin that keeps state in memory; `more` goes into its manifest, `open` replaces its opening. */
function stateModule(name: string, { more = '', open: opening = '' } = {}): string {
  return `
import { writeFileSync } from 'node:fs';
const store = (context) => {
  const entries = new Map();
  return {
    durability: { survivesPowerLoss: false, says: 'in memory, in ' + context.dataDir },
    settings: context.settings,
    get: async (scope, key) => entries.get(scope + key),
    put: async (scope, key, value) => {
      entries.set(scope + key, { key, value, version: 1, updatedAtMs: 0, expiresAtMs: null });
      return entries.get(scope + key);
    },
    delete: async () => false,
    list: async () => [],
    clear: async () => 0,
    close: async () => (writeFileSync(${JSON.stringify(path.join(dir, 'closed'))}, ''), { unsent: 0 }),
  };
};
export default {
  manifest: { name: '${name}', type: 'infrastructure', version: '1.2.3', api_version: 1, provides: ['state'], ${more} },
  openState: ${opening === '' ? 'async (context) => store(context)' : opening},
};`;
}

async function writePackage(name: string, module: string, extra: object = { exports: './index.js' }): Promise<void> {
  await write(`node_modules/${name}/package.json`, { name, version: '1.2.3', type: 'module', ...extra });
  await write(`node_modules/${name}/index.js`, module);
}

describe('openInfrastructure', () => {
  it('opens sqlite in a folder of its own', async () => {
    const { bus, state } = await open({});
    await sendOne(bus);
    await state.put('shared', 'k', 1);
    expect((await readdir(path.join(dir, 'state', 'plugins', 'sqlite'))).toSorted()).toEqual(
      expect.arrayContaining(['bus.db', 'state.db']),
    );
    expect((await stat(path.join(dir, 'state', 'plugins', 'sqlite'))).mode & 0o777).toBe(0o700);
  });

  it.skipIf(redisServer === undefined)('opens redis with its settings, each of the two by itself', async () => {
    const redis = await startRedis(redisServer as string);
    try {
      const settings = { url: redis.url, prefix: 'mine' };
      const { bus, state } = await open({ bus: { use: 'redis', settings }, state: { use: 'redis', settings } });
      await sendOne(bus);
      expect(await drain(bus)).toEqual(['hello']);
      expect((await state.put('shared', 'k', 1)).value).toBe(1);
    } finally {
      for (const { bus, state } of opened.splice(0)) await Promise.all([bus.close(), state.close()]);
      await redis.stop();
    }
  });

  it.each([
    ['a package', 'a-store', { exports: './index.js' }],
    ['a package with a scope', '@acme/store', { main: 'index.js' }],
    ['a package that exports to import alone', 'import-only', { exports: { '.': { import: './index.js' } } }],
    ['a package without a dot in its exports', 'plain-import', { exports: { import: './index.js' } }],
  ])('finds %s from the folder of the configuration, and gives it its settings and a folder', async (_, use, extra) => {
    await writePackage(use, stateModule(use), extra);
    const { state } = await open({ state: { use, settings: { url: 'x', deep: [1] } } });
    expect((state as unknown as { settings: unknown }).settings).toEqual({ url: 'x', deep: [1] });
    const dataDir = state.durability.says.replace('in memory, in ', '');
    expect(path.dirname(dataDir)).toBe(path.join(dir, 'state', 'plugins'));
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    await state.put('shared', 'k', 'v');
    expect((await state.get('shared', 'k'))?.value).toBe('v');
  });

  it('finds a file and a folder, and takes the default export of a CommonJS module', async () => {
    await write('plugins/state.mjs', stateModule('my-state'));
    expect((await open({ state: { use: './plugins/state.mjs', settings: {} } })).state.durability.says).toContain(
      'memory',
    );
    await write('compiled/package.json', { main: 'lib.cjs' });
    await write(
      'compiled/lib.cjs',
      stateModule('compiled')
        .replace("import { writeFileSync } from 'node:fs';", '')
        .replace('export default', 'exports.default ='),
    );
    expect(
      (await checkPlugins({ plugins: { bus: SQLITE, state: { use: './compiled', settings: {} } } }, dir))[1]?.problem,
    ).toBeNull();
  });

  it.each([
    ['no-such-package', 'there is no such package as seen from', 'npm install no-such-package'],
    ['./nowhere.mjs', 'there is no such file', 'correct the path'],
    ['sqlit', 'did you mean "sqlite"?', ''],
    ['Redis', 'did you mean "redis"?', ''],
    ['fs', 'it is a module of Node', ''],
  ])('says of %s that %s', async (use, ...says) => {
    const message = await refusal({ state: { use, settings: {} } });
    expect(message).toContain(`The plugin ${use} (plugins.state) failed: `);
    for (const each of says) expect(message).toContain(each);
  });

  it.each([
    ['', 'its default export is missing; expected an InfrastructurePlugin'],
    ['export default 7', 'its default export is 7'],
    ['export default {}', 'its manifest is missing; expected { name, type, version, api_version, provides }'],
    ['throw new Error("no disk here")', 'its code cannot be loaded: no disk here'],
    ['this is no JavaScript', 'its code cannot be loaded: '],
    [{ more: "type: 'agent'" }, 'manifest.type is "agent"; expected "infrastructure"'],
    [{ more: 'api_version: 2' }, 'manifest.api_version is 2; expected 1, that of this daemon: update the daemon'],
    [
      { more: 'api_version: undefined' },
      'manifest.api_version is missing; expected 1, that of this daemon: update the plugin',
    ],
    [{ more: "name: 'other'" }, 'manifest.name is "other"; expected "broken"'],
    [{ more: "name: '..'" }, 'manifest.name is ".."; expected the name of a package'],
    [{ more: 'version: 1' }, 'manifest.version is 1; expected a text'],
    [{ more: "provides: ['bus']" }, 'manifest.provides is ["bus"]; expected one with "state"'],
    [{ more: "provides: 'state'" }, 'manifest.provides is "state"; expected a list'],
    [{ open: 'undefined' }, 'openState is missing; expected a function'],
    [{ open: '() => { throw new Error("wrong url") }' }, 'failed: wrong url'],
    [{ open: 'async () => { throw new Error("wrong url") }' }, 'failed: wrong url'],
    [{ open: 'async () => undefined' }, 'has no get, put, delete, list, clear, close'],
    [
      { open: '(context) => ({ ...store(context), put: 1, list: undefined })' },
      'has no put, list; expected all functions',
    ],
  ])('refuses a plugin %j', async (what, says) => {
    await writePackage('broken', typeof what === 'string' ? what : stateModule('broken', what));
    expect(await refusal({ state: { use: 'broken', settings: {} } })).toContain(says);
    // Nothing is left open: another one may have the files.
    await open({});
  });

  it('gives up on one that does not open, and closes it if it does after all', async () => {
    await writePackage(
      'slow',
      stateModule('slow', {
        open: '(context) => new Promise((done) => (globalThis.openSlow = () => done(store(context))))',
      }),
    );
    const message = await refusal({ state: { use: 'slow', settings: {} } }, 200);
    expect(message).toContain('it has not opened within 0.2 s');
    expect(existsSync(path.join(dir, 'closed'))).toBe(false);
    (globalThis as unknown as { openSlow: () => void }).openSlow();
    await until(() => existsSync(path.join(dir, 'closed')), { what: 'its being closed' });
  });

  it('closes the state store if the bus does not open', async () => {
    await writePackage('good', stateModule('good'));
    const message = await refusal({
      bus: { use: 'redis', settings: { url: 'redis://127.0.0.1:1' } },
      state: { use: 'good', settings: {} },
    });
    expect(message).toContain('The plugin redis (plugins.bus) failed: Redis at redis://127.0.0.1:1 cannot be used: ');
    expect(existsSync(path.join(dir, 'closed'))).toBe(true);
  });

  it.each([
    [{ use: 'redis', settings: { prefx: 'a' } }, 'prefx is not a setting of redis; known: url, prefix'],
    [{ use: 'redis', settings: { prefix: 'a b' } }, 'prefix is "a b"; expected 1 to 64 letters'],
    [{ use: 'redis', settings: { url: 'http://:secret@x' } }, 'url is no address of a Redis'],
    [{ use: 'sqlite', settings: { file: 'x' } }, 'file'],
  ])('refuses the settings of %j', async (bus, says) => {
    const message = await refusal({ bus });
    expect(message).toContain(says);
    expect(message).not.toContain('secret');
  });
});
