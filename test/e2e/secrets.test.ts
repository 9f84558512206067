import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const SECRETS = { daemon: 'sEcReT-of-the-daemon', file: 'sEcReT-of-the-file' };

describe('secrets', () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    const show = 'echo "$FROM_DAEMON|$FROM_FILE|$PLAIN|$1" > out.txt; exec sleep 36021';
    daemon = await TestDaemon.make(
      {
        agents: {
          keeper: {
            command: ['sh', '-c', show, 'sh', '${FROM_FILE}'],
            env: { FROM_DAEMON: '${DAEMON_SECRET}', PLAIN: '${NOT_SET:-fallback}' },
            env_file: 'keeper.env',
          },
        },
      },
      { env: { DAEMON_SECRET: SECRETS.daemon } },
    );
    await writeFile(path.join(daemon.dir, 'keeper.env'), `FROM_FILE="${SECRETS.file}"\n`);
    await daemon.start();
    await daemon.untilAgent('keeper', (a) => a.state === 'running', 'running');
  }, 60_000);
  afterAll(async () => daemon?.end());

  it('of references and env_file reach the process', async () => {
    const out = await until(() => readFile(path.join(daemon.dir, 'out.txt'), 'utf8').catch(() => ''), {
      what: 'what the agent writes',
    });
    expect(out.trim()).toBe(`${SECRETS.daemon}|${SECRETS.file}|fallback|${SECRETS.file}`);
  });

  it('stand in no history, no state file, no log and no answer', async () => {
    const { temporal } = await daemon.status();
    const args = ['workflow', 'show', '-o', 'json', '--workflow-id', 'agent/keeper', '--address', temporal.address];
    const { stdout } = await run(inject('temporalCli'), args);
    const history = Buffer.from(stdout).toString() + decoded(stdout);
    expect(history).toContain('${DAEMON_SECRET}');
    const view = JSON.stringify((await daemon.call<AgentView>('GET', '/agents/keeper')).body);
    await daemon.call('POST', '/agents/keeper/restart');
    const files = (await readdir(daemon.stateDir, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    const texts = await Promise.all(files.map(async (file) => [file, await readFile(file, 'latin1')] as const));
    for (const secret of Object.values(SECRETS)) {
      expect(history).not.toContain(secret);
      expect(view).not.toContain(secret);
      expect(texts.filter(([, text]) => text.includes(secret)).map(([file]) => file)).toEqual([]);
    }
  });
});

/** Payloads are base64 inside of `workflow show -o json`. */
function decoded(text: string): string {
  return [...text.matchAll(/"data": ?"([A-Za-z0-9+/=]+)"/g)]
    .map(([, data]) => Buffer.from(data as string, 'base64').toString())
    .join('\n');
}
