import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import { choosePorts } from '../../src/daemon/free-port.ts';
import { isUnsupported } from '../../src/schema/unsupported.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { DesignService } from '../support/design-service.ts';
import { until } from '../support/wait.ts';

const WORKER = 'data_worker_007';
const EXAMPLE = path.join(inject('root'), 'examples', 'openstarry');
const isRunning = (agent: AgentView): boolean => agent.state === 'running';

describe('examples/openstarry', () => {
  let daemon: TestDaemon | undefined;
  let service: DesignService | undefined;
  afterEach(async () => {
    await daemon?.end();
    await service?.stop();
    daemon = undefined;
  });

  async function start(config: string, env: NodeJS.ProcessEnv = {}): Promise<TestDaemon> {
    const temporal = String((await choosePorts({ temporal: 0 })).temporal);
    const ports = { API_PORT: '0', HEALTH_PORT: '0', METRICS_PORT: '0', UI_PORT: '0', TEMPORAL_PORT: temporal };
    daemon ??= await TestDaemon.make({}, { env: { ...ports, MASTER_TEMPORAL: `127.0.0.1:${temporal}`, ...env } });
    daemon.launch(['start', '--config', path.join(EXAMPLE, config)]);
    await until(() => daemon!.output.includes('runs (pid '), { deadlineMs: 40_000, what: 'the banner' });
    return daemon;
  }

  const logsOf = async (id: string): Promise<string> =>
    (await daemon!.call<string>('GET', `/agents/${id}/logs?tail=1000`)).body;
  const untilLog = (id: string, text: string) =>
    until(async () => (await logsOf(id)).includes(text), { what: `"${text}" in the log of ${id}`, deadlineMs: 20_000 });

  /** Master first, its worker by the tool, watched, replaced, dismissed: with all of its tree. */
  async function story(transport: 'rest' | 'temporal'): Promise<void> {
    const master = await daemon!.untilAgent('master', isRunning, 'running');
    const worker = await daemon!.untilAgent(WORKER, isRunning, 'running', 30_000);
    expect(worker).toMatchObject({ template_id: 'DataAnalystAgent_v1', fault_domain: 'data', generation: 1 });
    expect(worker.origin).toBe(transport === 'rest' ? 'api' : 'temporal');
    expect(Date.parse(master.started_at!)).toBeLessThan(Date.parse(worker.started_at!));
    await untilLog('master', `the master manages by ${transport}`);
    await untilLog('master', `engaged ${WORKER} from DataAnalystAgent_v1`);
    // Command line and environment come from the template.
    const commandLine = readFileSync(`/proc/${worker.pid}/cmdline`, 'utf8').split('\0');
    expect(commandLine.slice(-4, -1)).toEqual(['data_analyst.py', '--every', '1']);
    expect(readFileSync(`/proc/${worker.pid}/environ`, 'utf8')).toContain('DATA_SOURCE=random-walk');

    await untilLog(WORKER, 'helper pid');
    process.kill(worker.pid!, 'SIGKILL');
    const again = await daemon!.untilAgent(WORKER, (a) => isRunning(a) && a.generation === 2, 'replaced');
    expect(again.restarts).toBe(1);
    await untilLog('master', 'generation 2: restart 1');
    await until(async () => (await logsOf(WORKER)).split('helper pid ').length === 3, { what: 'the second helper' });
    const helpers = [...(await logsOf(WORKER)).matchAll(/helper pid (\d+)/g)].map(([, pid]) => Number(pid));
    expect(helpers.map(isAlive)).toEqual([false, true]);

    await daemon!.call('POST', '/agents/master/signal', { name: 'SIGUSR1' });
    await untilLog('master', `dismissed ${WORKER}: gone`);
    expect((await daemon!.call('GET', `/agents/${WORKER}`)).status).toBe(404);
    expect([again.pid!, ...helpers].filter(isAlive)).toEqual([]);
    await untilLog('master', 'AGENT_NOT_FOUND');
    expect((await daemon!.agents()).map((agent) => agent.agent_id)).toEqual(['master']);
  }

  it('runs from a folder of templates, over REST', async () => {
    await start('openstarry.yaml');
    await story('rest');
  }, 90_000);

  it('runs the same over Temporal', async () => {
    await start('openstarry.yaml', { MASTER_TRANSPORT: 'temporal' });
    await story('temporal');
  }, 90_000);

  it('runs with the Agent Design Layer over HTTP, and then with that service down', async () => {
    service = await new DesignService().start();
    for (const name of readdirSync(path.join(EXAMPLE, 'templates')))
      service.templates.set(path.parse(name).name, readFileSync(path.join(EXAMPLE, 'templates', name), 'utf8'));
    const env = { DESIGN_LAYER_URL: service.url };
    await start('openstarry-http.yaml', env);
    await story('rest');
    expect(await daemon!.signal('SIGINT')).toBe(0);

    await service.stop();
    await start('openstarry-http.yaml');
    await daemon!.untilAgent('master', isRunning, 'running', 40_000);
    // The master is a new process: it engages its worker again, from the copy of the template.
    const worker = await daemon!.untilAgent(WORKER, isRunning, 'running', 30_000);
    expect(worker.reason).toContain('a copy of template DataAnalystAgent_v1');
  }, 120_000);

  // Waits for `limits`, which another part of the daemon brings: then this runs by itself.
  it.skipIf(isUnsupported('limits'))(
    'ends a worker that takes more of the processor than it may',
    async () => {
      daemon = await TestDaemon.make({});
      await daemon.start();
      const { status, body } = await daemon.call<AgentView>('POST', '/agents', {
        agent_id: WORKER,
        command: ['python3', '-c', 'while True: pass'],
        limits: { cpu: '20%', for: '1s', action: 'stop' },
      });
      expect([status, isAlive(body.pid!)]).toEqual([201, true]);
      const ended = await daemon.untilAgent(WORKER, (a) => a.pid === null, 'ended', 30_000);
      expect(ended.reason).toMatch(/cpu/i);
      expect(isAlive(body.pid!)).toBe(false);
    },
    90_000,
  );

  it('names in its README what is there', async () => {
    const readme = await readFile(path.join(EXAMPLE, 'README.md'), 'utf8');
    for (const name of ['openstarry-http.yaml', 'kill -USR1', 'MASTER_TRANSPORT=temporal', WORKER])
      expect(readme).toContain(name);
  });
});
