import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { Trial } from './trial.ts';

const FLEET = 4;
const SIZE = '20m';
/** How long the disk stays full. */
const FULL_MS = 8_000;
/** Mounting is for root. */
const canMount =
  process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

describe('a full disk', () => {
  chaos(
    'a state directory of 20 MB that fills up and is freed: agents untouched, nothing acknowledged is lost',
    async (c) => {
      await using trial = await Trial.make(c, { agents: FLEET });
      const home = path.join(trial.daemon.dir, 'home');
      mkdirSync(home);
      const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'tmpfs', home]);
      if (mounted.status !== 0) throw new Error(`cannot mount: ${mounted.stderr.toString()}`);
      try {
        await run(trial, path.join(home, 'ballast'));
      } finally {
        await trial.daemon.kill(); // what holds the mount, before its directory is removed
        spawnSync('umount', ['-l', home]);
      }
    },
    { timeoutMs: 240_000, skip: canMount ? undefined : 'it needs root and mount' },
  );
});

async function run(trial: Trial, ballast: string): Promise<void> {
  const { c, daemon } = trial;
  await daemon.start();
  const before = await trial.untilFleetRuns(FLEET);
  const [stopped, crashed, ...others] = [...before.keys()] as [string, string, ...string[]];

  fill(ballast);
  const fullMs = performance.now();
  const statuses = new Map<number, number>();
  const acknowledged = new Set<string>();
  let isStopped = false;
  process.kill(before.get(crashed)!, 'SIGKILL');
  for (let n = 0; performance.now() - fullMs < FULL_MS; n += 1) {
    fill(ballast); // also what a rotation or a checkpoint has given free
    const id = trial.id(`new${n}`);
    const { status } = await daemon.call('POST', '/agents?wait=1s', { agent_id: id, command: ['sleep', '36080'] });
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status < 300) acknowledged.add(id);
    if (isStopped) continue;
    const stop = await daemon.call('POST', `/agents/${stopped}/stop?wait=1s`);
    statuses.set(stop.status, (statuses.get(stop.status) ?? 0) + 1);
    isStopped = stop.status < 300;
  }
  c.figure('answers on the full disk', [...statuses].map(([status, times]) => `${times} × ${status}`).join(', '));
  for (const status of statuses.keys())
    c.check([201, 202, 200, 429, 503, 507].includes(status), `an answer ${status} on a full disk`);
  c.check(statuses.has(503) || statuses.has(507), 'nothing was refused: the disk was not full');
  c.check((await daemon.agents()).length >= FLEET, 'the list is shorter');
  const { incarnations } = await trial.observer.report();
  for (const id of others)
    c.check(
      incarnations.some((one) => one.lives && one.pid === before.get(id)),
      `${id} has ended`,
    );

  rmSync(ballast);
  const freedMs = performance.now();
  const probe = trial.id('probe');
  await until(
    async () => {
      const { status } = await daemon.call('POST', '/agents?wait=2s', { agent_id: probe, command: ['sleep', '36081'] });
      return status === 201 || status === 409;
    },
    { deadlineMs: 60_000, what: 'an agent to be created on the freed disk' },
  );
  await daemon.untilAgent(probe, (a) => a.state === 'running', 'running', 30_000);
  const tookMs = performance.now() - freedMs;
  c.figure('recovered', `${Math.round(tookMs)} ms after the disk was freed`);
  c.check(tookMs < c.size(30_000, 10_000), `recovered only ${tookMs} ms after the disk was freed`);
  for (const id of acknowledged) await daemon.untilAgent(id, (a) => a.state === 'running', 'running', 40_000);
  await daemon.untilAgent(crashed, (a) => a.state === 'running' && a.generation > 1, 'replaced', 60_000);
  if (isStopped) await daemon.untilAgent(stopped, (a) => a.state === 'stopped', 'stopped', 40_000);
  for (const view of await trial.fleet())
    if (others.includes(view.agent_id))
      c.check(view.pid === before.get(view.agent_id), `${view.agent_id} has a new pid`);
  await trial.compare('on the freed disk');
  await trial.finish();
}

/** To the last byte. */
function fill(file: string): void {
  for (let piece = 1024 * 1024; piece >= 1; piece = Math.floor(piece / 2)) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(piece), { flag: 'a' });
    } catch {
      // a smaller piece may still fit
    }
  }
}
