import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DoctorView } from '../../../src/contract/doctor-view.ts';
import { cliFixture, type CliFixture } from '../cli-fixture.ts';

let cli: CliFixture;
beforeAll(async () => {
  cli = await cliFixture();
});
afterAll(() => cli.end());

const PORTS = 'ports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 }';

async function examine(
  config: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; view: DoctorView }> {
  await writeFile(path.join(cli.home, 'openstarry.yaml'), config);
  const { code, out } = await cli.run(['doctor', '--json'], env);
  return { code, view: JSON.parse(out) as DoctorView };
}
const find = (view: DoctorView, name: string) => view.checks.find((check) => check.name === name);

describe('doctor', () => {
  test('looks at everything, and says what to do about what is not well', async () => {
    const { code, view } = await examine(`version: 1\n${PORTS}\n`);
    expect([code, view.ok]).toEqual([0, true]);
    expect(view.checks.map(({ name }) => name)).toEqual([
      'node',
      'platform',
      'config',
      'temporal',
      'port api',
      'port health',
      'port metrics',
      'port temporal',
      'port ui',
      'state directory',
      'file modes',
      'daemon',
      'custodian',
      'tree',
      'trust',
      'disk',
    ]);
    for (const { status, way_out } of view.checks) if (status !== 'ok') expect(way_out).toMatch(/\S/);
    expect(find(view, 'port api')?.says).toMatch(/in use by this daemon/);
    expect(find(view, 'tree')?.says).toMatch(/^(best-effort|cgroup|group-only)/);
  });

  test('exits 6 for what keeps a daemon from running, and names it', async () => {
    const used = new URL(`http://x:${await portOf()}`).port;
    const { code, view } = await examine(
      `version: 1\nports: { api: 0, health: ${used}, metrics: 0, temporal: 0, ui: 0 }\ntemporal: { address: '127.0.0.1:1' }\n`,
    );
    expect([code, view.ok]).toEqual([6, false]);
    expect(find(view, 'port health')).toMatchObject({
      status: 'fail',
      way_out: expect.stringContaining('ports.health'),
    });
    expect(find(view, 'temporal')).toMatchObject({ status: 'fail', says: 'nobody answers at 127.0.0.1:1' });
    expect(find(view, 'port ui')).toBeUndefined();
    expect((await examine('version: 9\n')).view.checks[2]).toMatchObject({ name: 'config', status: 'fail' });
  });

  test('tells of what others may read or enter', async () => {
    await chmod(path.join(cli.home, 'orchestrator', 'token'), 0o644);
    const open = await examine(`version: 1\n${PORTS}\n`);
    expect(find(open.view, 'file modes')).toMatchObject({ status: 'warn', says: expect.stringContaining('token') });
    await chmod(path.join(cli.home, 'orchestrator', 'token'), 0o600);
    await mkdir(path.join(cli.home, 'other', 'orchestrator'), { recursive: true });
    await chmod(path.join(cli.home, 'other', 'orchestrator'), 0o755);
    const entered = await examine(`version: 1\n${PORTS}\n`, { OPENSTARRY_HOME: path.join(cli.home, 'other') });
    expect([entered.code, find(entered.view, 'state directory')]).toMatchObject([6, { status: 'fail' }]);
  });

  test('is a list for people', async () => {
    const { out } = await cli.run(['doctor']);
    expect(out).toMatch(/^ok {4}node +\d+\./);
    expect(out).toMatch(/^warn {2}trust +agents run as /m);
    expect(out).toMatch(/A daemon can run here; \d+ to know of\n$/);
  });

  test('looks at the file of the daemon that runs, unless told another', async () => {
    const other = path.join(cli.home, 'other.yaml');
    await writeFile(other, `version: 1\n${PORTS}\n`);
    const file = path.join(cli.home, 'orchestrator', 'daemon.json');
    const before = await readFile(file, 'utf8');
    await writeFile(file, JSON.stringify({ ...JSON.parse(before), config_file: other }));
    const { view } = await examine('version: 1\nnonsense: 1\n');
    expect(find(view, 'config')).toMatchObject({ status: 'ok', says: `${other}, 0 agents` });
    const { out } = await cli.run(['doctor', '--json', '--config', cli.home]);
    expect(find(JSON.parse(out) as DoctorView, 'config')).toMatchObject({ status: 'fail' });
    await writeFile(file, before);
  });
});

async function portOf(): Promise<number> {
  const file = path.join(cli.home, 'orchestrator', 'daemon.json');
  return (JSON.parse(await readFile(file, 'utf8')) as { ports: { api: number } }).ports.api;
}
