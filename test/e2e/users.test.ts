import { afterEach, expect, it } from 'vitest';
import { chmod } from 'node:fs/promises';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

let daemon: TestDaemon | undefined;
afterEach(async () => daemon?.end());

const isRoot = process.getuid?.() === 0;

it.runIf(isRoot)(
  'a template says as whom its agents run; a user that is not there is a refusal, and leaves nothing',
  async () => {
    daemon = await TestDaemon.make({});
    await chmod(daemon.dir, 0o755);
    await daemon.template('Worker_v1', {
      command: ['sh', '-c', 'echo "I am $(id -un) of $HOME"; exec sleep 36061'],
      user: 'nobody',
      cwd: '/',
    });
    await daemon.start();
    const made = await daemon.call('POST', '/agents', { agent_id: 'w', template_id: 'Worker_v1' });
    expect(made.status).toBe(201);
    await until(
      async () => (await daemon!.call<string>('GET', '/agents/w/logs')).body.includes('I am nobody of /nonexistent'),
      {
        what: 'its words',
      },
    );
    expect((await daemon.call('DELETE', '/agents/w')).status).toBe(200);

    const refused = await daemon.call('POST', '/agents', { agent_id: 'x', command: ['true'], user: 'no-such-user' });
    expect([refused.status, refused.body]).toMatchObject([422, { error: { code: 'SPAWN_FAILED' } }]);
    expect(await daemon.agent('x')).toBeUndefined();
  },
  60_000,
);
