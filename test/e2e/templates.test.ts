import { afterEach, describe, expect, it } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { TemplatesView, TemplateView } from '../../src/contract/template-view.ts';
import { isAlive, TestDaemon } from '../support/daemon.ts';
import { DesignService } from '../support/design-service.ts';
import { until } from '../support/wait.ts';

const running = (agent: AgentView): boolean => agent.state === 'running';
const historyOf = async (daemon: TestDaemon, id: string): Promise<string> =>
  JSON.stringify((await daemon.call('GET', `/agents/${id}/history`)).body);

describe('templates', () => {
  let daemon: TestDaemon | undefined;
  let service: DesignService | undefined;
  afterEach(async () => {
    await daemon?.end();
    await service?.stop();
  });

  it('of a folder: an edit is used by the next incarnation, and each tells which version it runs', async () => {
    daemon = await TestDaemon.make({ defaults: { backoff: { initial: '50ms' } } });
    await daemon.template('S_v1', { command: ['sleep', '36031'], fault_domain: 'data' });
    await daemon.start();
    const { body: first } = await daemon.call<AgentView>('POST', '/agents', { agent_id: 'a', template_id: 'S_v1' });
    const { body: listed } = await daemon.call<TemplatesView>('GET', '/templates');
    expect(listed).toMatchObject({
      stale: null,
      templates: [{ template_id: 'S_v1', version: first.template_version }],
    });

    await daemon.template('S_v1', { command: ['sleep', '36032'], fault_domain: 'data' });
    expect(isAlive(first.pid!)).toBe(true);
    expect((await daemon.agent('a'))?.template_version).toBe(first.template_version);
    process.kill(first.pid!, 'SIGKILL');
    const second = await daemon.untilAgent('a', (a) => running(a) && a.pid !== first.pid, 'replaced');
    expect(second.template_version).not.toBe(first.template_version);
    const { body: shown } = await daemon.call<TemplateView>('GET', '/templates/S_v1');
    expect(shown.version).toBe(second.template_version);
    const history = await historyOf(daemon, 'a');
    for (const { template_version } of [first, second])
      expect(history).toContain(`template S_v1, version ${template_version?.slice(0, 12)}`);
    expect((await daemon.call('GET', '/templates/Nowhere_v1')).status).toBe(404);
  }, 60_000);

  it('of a service: its copies carry agents through its absence, also over a start of the daemon, and say so', async () => {
    service = await new DesignService().start();
    service.token = 'design-secret';
    service.templates.set('S_v1', 'command: [sleep, "36033"]\nfault_domain: data\n');
    const env = { DESIGN_TOKEN: 'design-secret' };
    const layer = { url: service.url, token: { from_env: 'DESIGN_TOKEN' } };
    daemon = await TestDaemon.make({ design_layer: layer, agents: { a: { template_id: 'S_v1' } } }, { env });
    await daemon.start();
    const first = await daemon.untilAgent('a', running, 'running');
    expect(first.reason).toBe('created');
    await service.stop();

    // It goes away while the daemon runs …
    const { status, body: second } = await daemon.call<AgentView>('POST', '/agents', {
      agent_id: 'b',
      template_id: 'S_v1',
    });
    expect([status, second.template_version]).toEqual([201, first.template_version]);
    expect(second.reason).toContain('a copy of template S_v1');
    const unknown = await daemon.call<{ error: { code: string } }>('POST', '/agents', {
      agent_id: 'c',
      template_id: 'Other_v1',
    });
    expect([unknown.status, unknown.body.error.code]).toEqual([503, 'DESIGN_LAYER_UNAVAILABLE']);
    expect(await daemon.agent('c')).toBeUndefined();
    const { body: listed } = await daemon.call<TemplatesView>('GET', '/templates');
    expect(listed.stale).toContain('only those of which there is a copy');
    expect(listed.templates[0]?.stale).toContain('a copy of template S_v1');

    // … and is away when the daemon starts.
    expect(await daemon.signal('SIGINT')).toBe(0);
    await daemon.start();
    const again = await daemon.untilAgent('a', (a) => running(a) && a.generation === 2, 'running');
    expect(again.template_version).toBe(first.template_version);

    await service.start();
    await daemon.call('POST', '/agents/b/restart');
    const original = await daemon.untilAgent('b', (a) => running(a) && a.generation === 3, 'restarted');
    expect(original.reason).not.toContain('copy');
  }, 90_000);

  it('of a service that is away from the beginning are waited for', async () => {
    service = await new DesignService().start();
    service.templates.set('S_v1', 'command: [sleep, "36034"]\n');
    await service.stop();
    daemon = await TestDaemon.make({ design_layer: { url: service.url }, agents: { a: { template_id: 'S_v1' } } });
    await daemon.start();
    await until(async () => (await daemon!.agent('a'))?.state === 'pending', { what: 'pending' });
    await service.start();
    await daemon.untilAgent('a', running, 'running', 40_000);
  }, 90_000);
});
