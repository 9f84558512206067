import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { ReloadView } from '../../src/contract/reload-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);

/** Seconds that no other test sleeps. */
const sleeper = (more: Record<string, unknown> = {}) => ({ command: ['sleep', '36011'], ...more });

const AGENTS = { stays: sleeper(), changes: sleeper(), goes: sleeper(), policy: sleeper({ fault_domain: 'mine' }) };
const MINE = { mine: { base: 'data', backoff: { initial: '100ms' } } };

describe('reload', () => {
  let daemon: TestDaemon;
  const pids = async (): Promise<Record<string, number | null>> =>
    Object.fromEntries((await daemon.agents()).map((view) => [view.agent_id, view.pid]));
  const reload = (query = '') => daemon.call<ReloadView>('POST', `/reload${query}`);

  beforeAll(async () => {
    daemon = await TestDaemon.make({ agents: AGENTS, fault_domains: MINE, defaults: { stop: { grace: '2s' } } });
    await daemon.start();
    for (const id of Object.keys(AGENTS)) await daemon.untilAgent(id, (a) => a.state === 'running', 'running');
    await daemon.call('POST', '/agents', { agent_id: 'api', command: ['sleep', '36012'] });
  }, 60_000);
  afterAll(async () => daemon?.end());

  it('of a file as it was changes nothing', async () => {
    const { status, body } = await reload();
    expect(status).toBe(200);
    expect(body).toMatchObject({ added: [], changed: [], removed: [], skipped: [], settings: [] });
    expect(body.unchanged).toEqual(['changes', 'goes', 'policy', 'stays']);
  });

  it('of an invalid file changes nothing and says why', async () => {
    const before = await pids();
    await daemon.configure({ agents: { stays: sleeper({ stop: { grace: 5 } }) } });
    const { status, body } = await daemon.call<{ error: { code: string; message: string } }>('POST', '/reload');
    expect([status, body.error.code]).toEqual([400, 'CONFIG_INVALID']);
    expect(body.error.message).toContain('agents.stays.stop.grace is 5');
    await daemon.configure({ agents: { stays: { template_id: 'Nowhere_v1' } } });
    const missing = await daemon.call<{ error: { code: string; message: string } }>('POST', '/reload');
    expect(missing.status).toBe(400);
    expect(missing.body.error.message).toContain('Nowhere_v1');
    expect(await pids()).toEqual(before);
  });

  it('shows the difference first, then starts, changes and deletes only what it has to', async () => {
    const before = await pids();
    await daemon.configure({
      agents: {
        stays: sleeper(),
        changes: sleeper({ command: ['sleep', '36013'], labels: { team: 'x' } }),
        policy: sleeper({ fault_domain: 'mine' }),
        fresh: sleeper(),
        api: sleeper(),
      },
      fault_domains: { mine: { base: 'data', backoff: { initial: '200ms' } } },
      defaults: { stop: { grace: '2s' } },
    });
    const expected = {
      added: ['fresh'],
      changed: [
        { agent_id: 'changes', fields: ['command', 'labels'], restarts: true, starts: false },
        { agent_id: 'policy', fields: ['fault_domains.mine'], restarts: false, starts: false },
      ],
      removed: ['goes'],
      unchanged: ['stays'],
      skipped: [{ agent_id: 'api', reason: expect.stringContaining('origin: api') }],
      settings: [{ setting: 'fault_domains.mine', takes_effect: 'now' }],
    };
    expect((await reload('?dry_run=true')).body).toMatchObject({ dry_run: true, ...expected });
    expect(await pids()).toEqual(before);

    expect((await reload()).body).toMatchObject({ dry_run: false, ...expected });
    await daemon.untilAgent('fresh', (a) => a.state === 'running', 'running');
    const changed = await daemon.untilAgent('changes', (a) => a.state === 'running' && a.generation === 2, 'replaced');
    expect(changed).toMatchObject({ restarts: 0, labels: { team: 'x' } });
    expect(isAlive(before['changes']!)).toBe(false);
    await until(async () => (await daemon.agent('goes')) === undefined, { what: 'the deletion' });
    expect(isAlive(before['goes']!)).toBe(false);
    const after = await pids();
    for (const id of ['stays', 'policy', 'api']) expect(after[id]).toBe(before[id]);
  }, 60_000);

  it('by SIGHUP is the same', async () => {
    const before = await pids();
    await daemon.configure({ agents: { stays: sleeper(), second: sleeper() } });
    daemon.process!.kill('SIGHUP');
    await daemon.untilAgent('second', (a) => a.state === 'running', 'running');
    await until(async () => (await daemon.agent('fresh')) === undefined, { what: 'the deletion' });
    expect(daemon.output).toContain('+ second is new');
    expect((await pids())['stays']).toBe(before['stays']);
  }, 60_000);

  it('starts an agent again that could not be started as the file had described it', async () => {
    await daemon.configure({ agents: { stays: sleeper(), second: sleeper({ command: ['/no/such/program'] }) } });
    await reload();
    await daemon.untilAgent('second', (a) => a.state === 'disabled', 'disabled');
    await daemon.configure({ agents: { stays: sleeper(), second: sleeper() } });
    expect((await reload()).body.changed).toEqual([
      { agent_id: 'second', fields: ['command'], restarts: false, starts: true },
    ]);
    await daemon.untilAgent('second', (a) => a.state === 'running', 'running');
  }, 60_000);

  it('is the command `reload`', async () => {
    await daemon.configure({
      agents: { stays: sleeper() },
      ports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 1 },
    });
    const cli = [path.join(inject('root'), 'dist', 'cli', 'main.js'), 'reload', '--dry-run'];
    const { stdout } = await run(process.execPath, cli, { env: daemon.env });
    expect(stdout).toContain('- second is deleted');
    expect(stdout).toContain('ports.ui takes effect at the next start');
  });

  it('tells the custodian what concerns it', async () => {
    const log = path.join(daemon.stateDir, 'custodian.log');
    await daemon.configure({ agents: { stays: sleeper() }, logs: { min_free: '1000TiB' } });
    expect((await reload()).body.settings).toContainEqual({ setting: 'logs.min_free', takes_effect: 'now' });
    const asked = 'less than 1000 TiB of its disk were free';
    await until(async () => (await readFile(log, 'utf8')).includes(asked), { what: 'a word about the disk' });
    await daemon.configure({ agents: { stays: sleeper() } });
    await reload();
  }, 30_000);

  it('another file is refused at the start, and takes over with --switch-config', async () => {
    await daemon.configure({ agents: { stays: sleeper(), second: sleeper() } });
    await reload();
    await daemon.untilAgent('second', (a) => a.state === 'running', 'running');
    const before = await pids();
    // What is deleted may have lost its workflow, and a daemon that is ending has no time to mend that.
    const { temporal } = await daemon.status();
    const terminate = ['workflow', 'terminate', '--workflow-id', 'agent/second', '--address', temporal.address];
    await run(inject('temporalCli'), terminate);
    await daemon.signal('SIGUSR2');
    const other = path.join(daemon.dir, 'other.yaml');
    const ports = '{ api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 }';
    await writeFile(other, `ports: ${ports}\nagents: { stays: { command: [sleep, "36011"] } }\n`);
    const refused = daemon.launch(['start', '--config', other]);
    expect((await once(refused, 'exit'))[0]).toBe(2);
    expect(daemon.output).toContain('CONFIG_OTHER_FILE');
    expect(daemon.output).toContain('other.yaml');
    expect(daemon.output).toContain('--switch-config');
    expect(isAlive(before['stays']!)).toBe(true);

    daemon.launch(['start', '--config', other, '--switch-config']);
    await until(() => daemon.output.includes('runs (pid '), { deadlineMs: 40_000, what: 'the banner' });
    await until(async () => (await daemon.agent('second')) === undefined, { what: 'the deletion' });
    const stays = await daemon.untilAgent('stays', (a) => a.origin === `file ${other}`, 'taken over');
    expect(stays.pid).toBe(before['stays']);
    await until(() => !isAlive(before['second']!), { what: 'the end of the process' });
  }, 90_000);
});
