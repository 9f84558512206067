import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cgroupMounts, ownCgroup } from '../../../src/custodian/tree/cgroup-place.ts';
import { recordedCgroup } from '../../../src/custodian/tree/cgroups.ts';
import { startCustodian } from '../../../src/host/custodian-client.ts';
import { createTestHost, custodianBundle, fixture, isAlive } from '../../support/custodian.ts';
import type { TestHost } from '../../support/custodian.ts';
import { until } from '../../support/wait.ts';

/** Only root may mount the hierarchy, and only where it is not used for itself already (or may be seen twice). */
const root = mkdtempSync(join(tmpdir(), 'oc-cgroup-'));
const isMounted = process.platform === 'linux' && spawnSync('mount', ['-t', 'cgroup2', 'none', root]).status === 0;
if (!isMounted) console.log('Skipped: cgroups of agents need a cgroup2 mount, which only root may make');

afterAll(() => {
  if (isMounted) spawnSync('umount', [root]);
  rmdirSync(root);
});

describe.runIf(isMounted)('with cgroups', () => {
  let base: string;
  let host: TestHost;
  beforeAll(() => {
    base = join(root, `test-${process.pid}`);
    mkdirSync(base);
  });
  afterAll(() => rmdirSync(base));
  beforeEach(async () => {
    host = await createTestHost({ isStarted: false });
    host.env['OPENSTARRY_CGROUP_ROOT'] = base;
    await host.start();
  });
  afterEach(async () => {
    await host.cleanUp();
    writeFileSync(join(base, 'cgroup.kill'), '1');
    const folders = (folder: string): string[] =>
      readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? [...folders(join(folder, entry.name)), join(folder, entry.name)] : [],
      );
    // Zombies of the test are none of its processes any more; what was killed last may take a moment to leave.
    await until(
      () => {
        try {
          for (const folder of folders(base)) rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      },
      { what: 'empty cgroups' },
    );
  });

  const cgroupOf = (pid: number): string => join(root, ownCgroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))!);
  const home = () => cgroupOf(process.pid);
  const stop = (agent: string) =>
    host.client.request('stop', { agent, generation: 1, cause: 'operator', signal: 'SIGTERM', grace_ms: 2000 });

  async function escaped(how: 'stay' | 'exit'): Promise<number> {
    await host.spawn('a', 1, [fixture('escape.py'), how]);
    const pid = Number(await until(() => /^(\d+)\n/.exec(host.log('a', 1))?.[1], { what: 'the pid of the child' }));
    host.owns(pid);
    return pid;
  }

  test('an agent is born in a cgroup of its own, and the custodian stays where it was', async () => {
    expect(host.client.hello.tree).toBe('cgroup');
    const { pid } = await host.spawn('a', 1, ['sleep', '1000'], { env: { PATH: process.env['PATH']!, ODD: 'ä=1' } });
    const folder = cgroupOf(pid);
    expect(folder.slice(0, folder.lastIndexOf('-'))).toMatch(/\/openstarry-[0-9a-f]{16}\/a-1$/);
    expect(dirname(dirname(folder))).toBe(base);
    expect(cgroupOf(host.pid)).toBe(home());
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe(['sleep', '1000', ''].join('\0'));
    await stop('a');
    await host.exitOf('a');
    expect(existsSync(folder)).toBe(false);
    await host.client.request('end', {});
    await until(() => !isAlive(host.pid), { what: 'the end of the custodian' });
    expect(readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory())).toEqual([]);
  });

  test('a stop kills a child that left session, group, parent and environment before anybody looked', async () => {
    const child = await escaped('stay');
    await until(() => readFileSync(`/proc/${child}/environ`, 'utf8') === '', { what: 'an empty environment' });
    const { live } = (await host.entry('a'))!;
    const [, ppid, pgrp, session] = readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1]!.split(' ');
    expect([ppid, pgrp, session]).not.toContain(String(live!.pid));
    const { trees } = await host.client.request('trees', {});
    expect(trees['a']).toEqual(expect.arrayContaining([live!.pid, child]));
    await stop('a');
    await host.exitOf('a');
    expect(isAlive(child)).toBe(false);
  });

  test('the end of the main process kills it too', async () => {
    const child = await escaped('exit');
    expect((await host.exitOf('a')).exit).toMatchObject({ code: 0, cause: 'self' });
    expect(isAlive(child)).toBe(false);
  });

  test('the next custodian finds it in the cgroup', async () => {
    const child = await escaped('stay');
    const { pid } = (await host.entry('a'))!.live!;
    const folder = cgroupOf(child);
    await host.kill();
    await host.start();
    expect(await host.entry('a')).toMatchObject({ live: { pid, parent: false } });
    await stop('a');
    await host.exitOf('a');
    expect([pid, child].filter(isAlive)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  test('and the agent itself, without a journal and by nothing else', async () => {
    await host.spawn('a', 1, ['sh', '-c', 'exec env -i sleep 1000 > /dev/null 2>&1']);
    const { pid } = (await host.entry('a'))!.live!;
    host.owns(pid);
    const folder = cgroupOf(pid);
    await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n', { what: 'the last exec' });
    await host.kill();
    rmSync(join(host.stateDir, 'custody.journal'));
    await host.start();
    expect(await host.entry('a')).toMatchObject({ live: { generation: 1, pid } });
    await stop('a');
    await host.exitOf('a');
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(folder)).toBe(false);
  });

  test('and kills it when the main process ended unseen', async () => {
    const child = await escaped('stay');
    const { pid } = (await host.entry('a'))!.live!;
    await host.kill();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), { what: 'the end of the main process' });
    await host.start();
    const lost = () => host.entry('a').then((entry) => entry?.custody.last_exit);
    expect(await until(lost, { what: 'its exit record' })).toMatchObject({ code: null, cause: 'custodian_lost' });
    expect(isAlive(child)).toBe(false);
  });

  test('a start that was cut off after the fork is found in its cgroup, though nothing else tells of it', async () => {
    await host.kill();
    await host.start({ OPENSTARRY_FAILPOINT: 'custodian.after-fork' });
    await host.spawn('a', 1, ['sh', '-c', 'exec env -i sleep 1000 >/dev/null']).catch(() => undefined);
    await until(() => !isAlive(host.pid), { what: 'the death of the custodian' });
    const [folder] = readdirSync(base, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.includes('/a-1-') && name.endsWith('cgroup.procs'),
    );
    const pid = Number(readFileSync(join(base, folder!), 'utf8'));
    host.owns(pid);
    await until(() => readFileSync(`/proc/${pid}/environ`, 'utf8') === '', { what: 'an empty environment' });
    await host.start();
    expect(await host.entry('a')).toMatchObject({ live: { pid } });
  });

  test('cgroups that an agent makes go with it', async () => {
    const script =
      'd=$1/$(cut -d: -f3 /proc/self/cgroup | tail -n1)/inner; mkdir "$d"; sleep 1000 & echo $! > "$d/cgroup.procs"; echo $!; wait';
    await host.spawn('a', 1, ['sh', '-c', script, 'sh', root]);
    const inner = Number(await until(() => /^(\d+)\n/.exec(host.log('a', 1))?.[1], { what: 'its pid' }));
    host.owns(inner);
    expect(cgroupOf(inner)).toMatch(/\/inner$/);
    process.kill((await host.entry('a'))!.live!.pid, 'SIGKILL');
    await host.exitOf('a');
    expect(isAlive(inner)).toBe(false);
    expect(readdirSync(base, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('/a-1-'))).toEqual(
      [],
    );
  });

  test('a custodian that a daemon in custody has started leaves the cgroup of that daemon', async () => {
    const { pid } = await host.spawn('_daemon', 1, ['sleep', '1000']);
    const starter = join(host.stateDir, 'starter.sh');
    writeFileSync(starter, `#!/bin/sh\necho $$ > ${cgroupOf(pid)}/cgroup.procs\nexec ${process.execPath} "$@"\n`);
    chmodSync(starter, 0o700);
    await host.kill();
    const next = await startCustodian(host.stateDir, custodianBundle(), { ...host.startOptions, execPath: starter });
    host.owns(next.pid);
    host.pid = next.pid;
    host.client = await host.connect();
    const folder = cgroupOf(pid);
    expect(cgroupOf(next.pid)).toBe(dirname(dirname(folder)));
    const agent = await host.spawn('a', 1, ['sleep', '1000']);
    expect(dirname(cgroupOf(agent.pid))).toBe(dirname(folder));
    await stop('_daemon');
    await host.exitOf('_daemon');
    expect([next.pid, agent.pid].filter(isAlive)).toEqual([next.pid, agent.pid]);
  });

  test('without a place for them everything works as before', async () => {
    await host.kill();
    await host.start({ OPENSTARRY_CGROUP_ROOT: join(root, 'nowhere') });
    expect(host.client.hello.tree).toBe('best-effort');
    const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
    expect(cgroupOf(pid)).toBe(home());
    expect(readFileSync(join(host.stateDir, 'custodian.log'), 'utf8')).toContain('followed without cgroups');
  });

  test('recordedCgroup believes only what could be ours', () => {
    const live = { generation: 3, nonce: 'abc' };
    const own = join(base, 'openstarry-x', 'a-3-abc');
    mkdirSync(own, { recursive: true });
    expect(recordedCgroup('a', { ...live, cgroup: own })).toBe(own);
    expect(recordedCgroup('a', live)).toBeUndefined();
    for (const cgroup of [
      base,
      `${own}/..`,
      join(base, 'a-3-abc'),
      `${own}/../a-3-abc`,
      join(tmpdir(), 'openstarry-x/a-3-abc'),
    ])
      expect(recordedCgroup('a', { ...live, cgroup })).toBeUndefined();
    expect(recordedCgroup('b', { ...live, cgroup: own })).toBeUndefined();
    expect(recordedCgroup('a', { ...live, generation: 4, cgroup: own })).toBeUndefined();
  });
});

test('ownCgroup reads the line without controllers', () => {
  expect(ownCgroup('4:memory:/x\n0::/user.slice/a b.scope\n')).toBe('/user.slice/a b.scope');
  expect(ownCgroup('4:memory:/x\n')).toBeUndefined();
});

test('cgroupMounts reads where the hierarchy is mounted', () => {
  const text = [
    '25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw',
    '31 25 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate',
    '40 25 0:26 /a.slice /mnt/with\\040blank rw - cgroup2 none rw',
    '41 25 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu',
    '',
  ].join('\n');
  expect(cgroupMounts(text)).toEqual([
    { root: '/', path: '/sys/fs/cgroup' },
    { root: '/a.slice', path: '/mnt/with blank' },
  ]);
});
