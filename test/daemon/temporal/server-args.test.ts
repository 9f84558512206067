import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import { choosePorts } from '../../../src/daemon/free-port.ts';
import { runCommand } from '../../../src/daemon/run-command.ts';
import { temporalServerArgs } from '../../../src/daemon/temporal/server-args.ts';
import { spawn } from 'node:child_process';
import { until } from '../../support/wait.ts';

const OPTIONS = {
  port: 7233,
  uiPort: 8233,
  dbFile: '/state/temporal/temporal-1.5.1.db',
  searchAttributes: ['AgentId'],
};

test('temporalServerArgs listens on the loopback address only and commits durably', () => {
  const line = temporalServerArgs(OPTIONS).join(' ');
  expect(temporalServerArgs({ ...OPTIONS, uiPort: 0 })).toContain('--headless');
  expect(line).toMatch(/^server start-dev --ip 127\.0\.0\.1 --port 7233 .*--ui-ip 127\.0\.0\.1 --ui-port 8233/);
  expect(line).toContain('--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=FULL');
  expect(line).toContain('--search-attribute AgentId=Keyword');
  expect(line).toContain('--dynamic-config-value history.defaultWorkflowTaskTimeout="5s"');
});

test('temporalServerArgs names another impossible HTTP host each time', () => {
  const host = (): string | undefined =>
    temporalServerArgs(OPTIONS).find((arg) => arg.startsWith('frontend.httpAllowedHosts='));
  expect(host()).toMatch(/^frontend\.httpAllowedHosts=\["[0-9a-f]{32}\.invalid"\]$/);
  expect(host()).not.toBe(host());
});

test('temporalServerArgs closes the HTTP API against a page of another origin', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-args-'));
  const { grpc, http } = await choosePorts({ grpc: 0, http: 0 });
  const args = temporalServerArgs({ ...OPTIONS, port: grpc, uiPort: 0, dbFile: path.join(folder, 't.db') });
  const server = spawn(inject('temporalCli'), [...args, '--http-port', String(http)], { stdio: 'ignore' });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  try {
    const post = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${http}/api/v1/namespaces/default/workflows/intruder`, {
        method: 'POST',
        headers: { 'Content-Type': 'text/plain', Origin: 'https://elsewhere.example' },
        body: JSON.stringify({ workflowType: { name: 'agent' }, taskQueue: { name: 'orchestrator' } }),
      });
    const answer = await until(() => post().catch(() => undefined), {
      deadlineMs: 20_000,
      what: 'an answer of the HTTP API',
    });
    expect(answer.status).toBe(403);
    await answer.text();
    const list = ['workflow', 'count', '--address', `127.0.0.1:${grpc}`, '--output', 'json'];
    const counted = await until(
      async () => {
        const { code, output } = await runCommand(inject('temporalCli'), list, { timeoutMs: 10_000 });
        return code === 0 ? output : undefined;
      },
      { deadlineMs: 20_000, what: 'a count of the workflows' },
    );
    expect(counted).not.toMatch(/"count":\s*"?[1-9]/);
  } finally {
    server.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  }
});
