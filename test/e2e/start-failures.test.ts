import { mkdir } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { TestDaemon } from '../support/daemon.ts';
import { until } from '../support/wait.ts';

describe('a start that cannot work', () => {
  let daemon: TestDaemon | undefined;
  let server: Server | undefined;
  afterEach(async () => {
    await daemon?.end();
    server?.close();
  });

  const busyPort = async (): Promise<number> => {
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };

  /** @returns exit code and how long it took */
  const fails = async (): Promise<{ code: number | null; ms: number }> => {
    const begun = performance.now();
    const child = daemon!.launch(['start', '--config', path.join(daemon!.dir, 'openstarry.yaml')]);
    const [code] = (await once(child, 'exit')) as [number | null];
    return { code, ms: performance.now() - begun };
  };

  const nothingIsLeft = (): Promise<true> =>
    until(async () => (await daemon!.custody().catch(() => undefined)) === undefined, {
      what: 'the end of the custodian',
    }) as Promise<true>;

  it.each(['api', 'health', 'metrics', 'temporal', 'ui'])(
    'names the %s port that is taken, and leaves nothing half-started',
    async (name) => {
      const port = await busyPort();
      const ports = { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0, [name]: port };
      daemon = await TestDaemon.make({ ports });
      const { code } = await fails();
      expect([code, daemon.output.includes(`${port}`)]).toEqual([5, true]);
      expect(daemon.output).toContain('PORT_IN_USE');
      await nothingIsLeft();
    },
    30_000,
  );

  it('says that the Temporal server that was named does not answer', async () => {
    const port = await busyPort();
    server?.close();
    daemon = await TestDaemon.make({}, { env: { TEMPORAL_ADDRESS: `127.0.0.1:${port}` } });
    const { code } = await fails();
    expect([code, daemon.output.includes(`127.0.0.1:${port}`)]).toEqual([7, true]);
    expect(daemon.output).toContain('TEMPORAL_UNAVAILABLE');
    await nothingIsLeft();
  }, 40_000);

  it('tells each way by which Temporal was looked for', async () => {
    daemon = await TestDaemon.make({});
    const empty = path.join(daemon.dir, 'empty');
    await mkdir(empty);
    Object.assign(daemon.env, { PATH: empty, XDG_CACHE_HOME: empty, OPENSTARRY_TEMPORAL_CLI: '' });
    const { code } = await fails();
    expect(code).toBe(6);
    for (const word of ['TEMPORAL_NOT_FOUND', 'OPENSTARRY_TEMPORAL_CLI', empty, 'PATH', 'download', 'Go']) {
      expect(daemon.output).toContain(word);
    }
    await nothingIsLeft();
  }, 60_000);

  it('of an agent whose program is missing is told, and the daemon runs on', async () => {
    daemon = await TestDaemon.make({ agents: { analyst: { command: ['python9', 'x.py'] } } });
    await daemon.start();
    const view = await daemon.untilAgent('analyst', (a) => a.state === 'disabled', 'disabled');
    expect(view.reason).toContain('python9');
    await until(() => daemon!.output.includes('analyst disabled'), { what: 'the line on the terminal' });
    expect((await daemon.call('GET', '/agents')).status).toBe(200);
  }, 40_000);
});
