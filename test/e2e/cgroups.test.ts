import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import type { DoctorView } from '../../src/contract/doctor-view.ts';
import { fixture } from '../support/custodian.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const mounted = mkdtempSync(path.join(os.tmpdir(), 'oc-cgroup-'));
const canMount = process.platform === 'linux' && spawnSync('mount', ['-t', 'cgroup2', 'none', mounted]).status === 0;
if (!canMount) console.log('Skipped: cgroups of agents need a cgroup2 mount, which only root may make');
const base = path.join(mounted, `e2e-${process.pid}`);
if (canMount) mkdirSync(base);

let daemon: TestDaemon | undefined;
afterAll(async () => {
  await daemon?.end();
  if (canMount) {
    // What has escaped after all.
    writeFileSync(path.join(base, 'cgroup.kill'), '1');
    spawnSync('find', [base, '-depth', '-type', 'd', '-delete']);
    spawnSync('umount', [mounted]);
  }
  rmdirSync(mounted);
});

const cgroupOf = (pid: number): string => /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))![1]!;

it.runIf(canMount)(
  'in cgroups nothing escapes, whoever died meanwhile, and nothing of them is left',
  async () => {
    daemon = await TestDaemon.make(
      { agents: { a: { command: [fixture('escape.py'), 'stay'], stop: { grace: '1s' } } } },
      { env: { OPENSTARRY_CGROUP_ROOT: base } },
    );
    const self = daemon;
    const cli = async (...args: string[]): Promise<string> => {
      await once(self.launch(args), 'close');
      return self.output;
    };
    await cli('start', '-d', '--config', path.join(self.dir, 'openstarry.yaml'));
    const agent = await self.untilAgent('a', ({ state }) => state === 'running', 'runs');
    expect((await self.status()).tree).toBe('cgroup');
    const log = path.join(self.stateDir, 'logs/a/1.log');
    const child = Number(await until(() => /^(\d+)\n/.exec(readFileSync(log, 'utf8'))?.[1], { what: 'its child' }));
    expect(cgroupOf(child)).toBe(cgroupOf(agent.pid!));

    // The daemon is a child of the custodian and in a cgroup itself: the custodian that it starts must not be.
    const first = await self.custody();
    process.kill(first.pid, 'SIGKILL');
    const next = await until(
      () =>
        self
          .custody()
          .then((held) => (held.pid === first.pid ? undefined : held))
          .catch(() => undefined),
      { what: 'the next custodian' },
    );
    expect(cgroupOf(next.pid)).toBe(`/${path.basename(base)}`);
    const { checks } = JSON.parse(await cli('doctor', '--json')) as DoctorView;
    expect(checks.find(({ name }) => name === 'tree')).toMatchObject({
      status: 'ok',
      says: expect.stringMatching(/^cgroup/),
    });

    const ran = await self.untilAgent('a', ({ state }) => state === 'running', 'still runs');
    expect(ran.pid).toBe(agent.pid);
    expect(await cli('agents', 'stop', 'a')).toContain('a is stopped');
    expect([agent.pid!, child].filter(isAlive)).toEqual([]);

    expect(await cli('stop')).toContain('is stopped, and so are its agents');
    await until(() => !isAlive(next.pid), { what: 'the end of the custodian' });
    expect(readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory())).toEqual([]);
  },
  60_000,
);
