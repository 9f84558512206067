import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { DoctorView } from '../../src/contract/doctor-view.ts';
import { startDevServer, type DevServer } from '../support/dev-server.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);

describe('two daemons of different hosts on one namespace', () => {
  let folder: string;
  let server: DevServer;
  const daemons: TestDaemon[] = [];
  const make = async (): Promise<TestDaemon> => {
    const daemon = await TestDaemon.make({}, { env: { TEMPORAL_ADDRESS: server.address } });
    daemons.push(daemon);
    return daemon;
  };
  const temporalCheck = async (daemon: TestDaemon) => {
    const cli = path.join(inject('root'), 'dist', 'cli', 'main.js');
    const args = [cli, 'doctor', '--json', '--config', path.join(daemon.dir, 'openstarry.yaml')];
    const { stdout } = await run(process.execPath, args, { env: daemon.env });
    return (JSON.parse(stdout) as DoctorView).checks.find(({ name }) => name === 'temporal');
  };

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-two-'));
    server = await startDevServer({ cli: inject('temporalCli'), folder });
  }, 60_000);
  afterAll(async () => {
    for (const daemon of daemons) await daemon.end();
    await server?.connection.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('the second is told of the first at its start, in its log, by status and by doctor; the first alone of nobody', async () => {
    const first = await make();
    await first.start();
    const { host, temporal } = await first.status();
    expect(temporal.other_hosts).toEqual([]);
    expect(first.output).not.toContain('WARNING');
    expect(await temporalCheck(first)).toMatchObject({ status: 'ok' });

    const second = await make();
    await second.start();
    expect(second.output).toContain(
      `WARNING: A daemon of another host, ${host}, takes work from the namespace default`,
    );
    expect((await second.status()).temporal.other_hosts).toEqual([host]);
    expect(await readFile(path.join(second.stateDir, 'daemon.log'), 'utf8')).toContain(host);
    expect(await temporalCheck(second)).toMatchObject({ status: 'warn', says: expect.stringContaining(host) });
  }, 90_000);

  it('one that runs on a copy of a state directory is told of by the other', async () => {
    const [original] = daemons;
    const { host } = await original!.status();
    const copy = await make();
    await mkdir(copy.stateDir, { recursive: true, mode: 0o700 });
    await copyFile(path.join(original!.stateDir, 'host-id'), path.join(copy.stateDir, 'host-id'));
    await copy.start();
    expect((await copy.status()).host).toBe(host);
    const isSeen = async () => (await original!.status()).temporal.other_hosts.includes(host);
    await until(isSeen, { what: 'the copy to be seen', deadlineMs: 150_000 });
    expect(await readFile(path.join(original!.stateDir, 'daemon.log'), 'utf8')).toContain('state directory was copied');
  }, 240_000);
});
