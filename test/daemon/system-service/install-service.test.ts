import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { describeService, installService } from '../../../src/daemon/system-service/install-service.ts';
import { runCommand } from '../../../src/daemon/run-command.ts';
import {
  custodianUnit,
  daemonUnit,
  launchdPlist,
  type UnitFacts,
} from '../../../src/daemon/system-service/service-units.ts';

const ANALYZE = '/usr/bin/systemd-analyze';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-units-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const facts = (more: Partial<UnitFacts> = {}): UnitFacts => ({
  scope: 'system',
  node: process.execPath,
  entry: path.join(inject('root'), 'bin', 'openstarry-daemon.mjs'),
  custodian: path.join(inject('root'), 'dist', 'custodian.mjs'),
  home: '/srv/open starry/100%',
  config: '/srv/open starry/openstarry.yaml',
  user: 'root',
  path: '/usr/bin:/bin',
  ...more,
});

describe('the units', () => {
  it('keep agents out of the reach of the daemon unit, and leave a fail-stop alone', () => {
    const custodian = custodianUnit(facts());
    for (const line of ['Delegate=yes', 'KillMode=process', 'User=root']) expect(custodian).toContain(`\n${line}\n`);
    const daemon = daemonUnit(facts());
    for (const line of [
      'KillSignal=SIGUSR2',
      'KillMode=process',
      'RestartPreventExitStatus=78 2 5',
      'Wants=openstarry-custodian.service',
    ])
      expect(daemon).toContain(`\n${line}\n`);
    expect(daemon).not.toContain('Requires=');
    expect(daemon).toContain('\nEnvironmentFile=-/srv/open starry/100%%/orchestrator/service.env\n');
    expect(custodian).not.toContain('EnvironmentFile');
  });

  it('quote what needs it', () => {
    const daemon = daemonUnit(facts({ home: '/a "b"/100%', entry: '/x/$HOME/e.mjs' }));
    expect(daemon).toContain('Environment="OPENSTARRY_HOME=/a \\"b\\"/100%%"');
    expect(daemon).toContain('"/x/$$HOME/e.mjs"');
    expect(launchdPlist(facts({ home: '/a&b' }))).toContain('<string>/a&amp;b</string>');
  });

  it.skipIf(!existsSync(ANALYZE))('are accepted by systemd-analyze verify, without a warning', async () => {
    await writeFile(path.join(dir, 'openstarry-custodian.service'), custodianUnit(facts()));
    await writeFile(path.join(dir, 'openstarry-daemon.service'), daemonUnit(facts()));
    const args = ['verify', '--man=no', '--recursive-errors=no', path.join(dir, 'openstarry-daemon.service')];
    const env = { ...process.env, SYSTEMD_UNIT_PATH: `${dir}:` };
    const custodian = [...args.slice(0, -1), path.join(dir, 'openstarry-custodian.service')];
    for (const each of [args, custodian]) {
      const { output } = await runCommand(ANALYZE, each, { env });
      expect(output.split('\n').filter((line) => line.includes('openstarry'))).toEqual([]);
    }
  });
});

describe('installService', () => {
  const install = async (dryRun: boolean, more: { scope?: 'system'; platform?: NodeJS.Platform } = {}) => {
    const work = path.join(dir, 'work');
    await mkdir(work, { recursive: true });
    await writeFile(path.join(work, 'openstarry.yaml'), 'version: 1\n');
    const env = { HOME: dir, OPENSTARRY_HOME: path.join(dir, 'home'), PATH: '/usr/bin' };
    return installService({ scope: 'user', platform: 'linux', cwd: work, env, dryRun, ...more });
  };

  it('writes both units of a user, and says what to run', async () => {
    const { files, next } = await install(false);
    expect(files.map((file) => path.relative(dir, file.path))).toEqual([
      '.config/systemd/user/openstarry-custodian.service',
      '.config/systemd/user/openstarry-daemon.service',
    ]);
    for (const { path: file, content } of files) expect(await readFile(file, 'utf8')).toBe(content);
    expect(files[1]?.content).toContain(`"start" "--config" "${path.join(dir, 'work', 'openstarry.yaml')}"`);
    expect(files[0]?.content).toContain(`"--state-dir" "${path.join(dir, 'home', 'orchestrator')}"`);
    expect(files[1]?.content).toContain('WantedBy=default.target');
    expect(files[1]?.content).not.toContain('User=');
    expect(next[0]).toBe('systemctl --user daemon-reload');
  });

  it('writes nothing with dryRun, nor for a configuration that is not valid', async () => {
    expect((await install(true)).files).toHaveLength(2);
    expect(existsSync(path.join(dir, '.config'))).toBe(false);
    await writeFile(path.join(dir, 'bad.yaml'), 'ports: 5\n');
    const bad = installService({ scope: 'user', platform: 'linux', file: 'bad.yaml', cwd: dir, env: {}, dryRun: true });
    await expect(bad).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('says where variables stand, and which the configuration refers to', async () => {
    const work = path.join(dir, 'work');
    await mkdir(work);
    await writeFile(
      path.join(work, 'openstarry.yaml'),
      [
        'version: 1',
        'plugins: { bus: { use: redis, url: { from_env: REDIS_URL } } }',
        'agents:',
        '  a: { command: [sh, -c, "echo $${NOT_ONE} $NEITHER"], env: { KEY: "${API_KEY}", HOW: "${HOW:-so}" } }',
      ].join('\n'),
    );
    const env = {
      HOME: dir,
      OPENSTARRY_HOME: path.join(dir, 'home'),
      PATH: '/usr/bin',
      REDIS_URL: 'redis://127.0.0.1:1',
    };
    const service = await installService({ scope: 'user', platform: 'linux', cwd: work, env, dryRun: false });
    const file = path.join(dir, 'home', 'orchestrator', 'service.env');
    expect(service).toMatchObject({ environment_file: file, variables: ['API_KEY', 'HOW', 'REDIS_URL'] });
    expect(service.files[1]?.content).toContain(`\nEnvironmentFile=-${file}\n`);
    const says = describeService(service);
    expect(says).toContain(`${file}, mode 0600`);
    expect(says).toContain('The configuration refers to API_KEY, HOW, REDIS_URL: write them there first');
    expect(JSON.stringify(service)).not.toContain('redis://');
    expect(describeService(await install(true))).not.toContain('refers to');
  });

  it('knows launchd, marked as untested, and refuses other systems', async () => {
    const { files } = await install(true, { platform: 'darwin' });
    expect(files[0]?.path).toContain('Library/LaunchAgents/com.openstarry.daemon.plist');
    expect(files[0]?.content).toContain('UNTESTED');
    await expect(install(true, { platform: 'win32' })).rejects.toMatchObject({ code: 'PLATFORM_UNSUPPORTED' });
  });
});
