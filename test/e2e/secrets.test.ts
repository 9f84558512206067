import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

const run = promisify(execFile);
const SECRETS = {
  daemon: 'sEcReT-of-the-daemon',
  file: 'sEcReT-of-the-file',
  slack: 'sEcReT-of-slack',
  signature: 'sEcReT-of-a-webhook',
};

describe('secrets', () => {
  let daemon: TestDaemon;
  beforeAll(async () => {
    const show = 'echo "$FROM_DAEMON|$FROM_FILE|$PLAIN|$1" > out.txt; exec sleep 36021';
    daemon = await TestDaemon.make(
      {
        escalation: {
          channels: [
            { type: 'slack', url: { from_env: 'SLACK_WEBHOOK' } },
            { type: 'webhook', url: { from_env: 'SLACK_WEBHOOK' }, secret: { from_env: 'SIGNATURE' } },
          ],
        },
        agents: {
          keeper: {
            command: ['sh', '-c', show, 'sh', '${FROM_FILE}'],
            env: { FROM_DAEMON: '${DAEMON_SECRET}', PLAIN: '${NOT_SET:-fallback}' },
            env_file: 'keeper.env',
          },
        },
      },
      {
        env: {
          DAEMON_SECRET: SECRETS.daemon,
          // Nobody is there: a failure must not tell where it was to go.
          SLACK_WEBHOOK: `http://127.0.0.1:9/services/${SECRETS.slack}`,
          SIGNATURE: SECRETS.signature,
        },
      },
    );
    await writeFile(path.join(daemon.dir, 'keeper.env'), `FROM_FILE="${SECRETS.file}"\n`);
    await daemon.start();
    await daemon.untilAgent('keeper', (a) => a.state === 'running', 'running');
    await daemon.call('POST', '/incidents', { incident_id: 'told', summary: 'the disk is full' });
    await until(
      async () => (await readFile(path.join(daemon.stateDir, 'daemon.log'), 'utf8')).includes('a notice was not taken'),
      {
        what: 'a failure of a channel',
      },
    );
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
    const incident = ['incident/told', ...args.slice(6)];
    const told = (await run(inject('temporalCli'), [...args.slice(0, 5), ...incident])).stdout;
    const history = stdout + decoded(stdout) + told + decoded(told);
    expect(history).toContain('${DAEMON_SECRET}');
    const test = await daemon.call('POST', '/notify/test');
    expect(JSON.stringify(test.body)).toContain('cannot be reached');
    const answers = [
      test,
      await daemon.call('GET', '/incidents/told'),
      await daemon.call<AgentView>('GET', '/agents/keeper'),
    ];
    const view = JSON.stringify(answers.map(({ body }) => body));
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
