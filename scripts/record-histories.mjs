// Records the histories that `test/workflows/replay.test.ts` replays: real lives, through a real daemon and the embedded
// Temporal. Run it when the workflow has deliberately changed its commands (with a new patch marker), never to make a
// failing replay pass: what cannot be replayed would strand the agents of every user who upgrades.
//
//   npm run build && node scripts/record-histories.mjs [id...]     only these lives are written
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUT = path.join(ROOT, 'test', 'histories');
const VERSION = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')).version;

const dir = mkdtempSync(path.join(os.tmpdir(), 'openstarry-record-'));
mkdirSync(path.join(dir, 'templates'));
writeFileSync(path.join(dir, 'templates', 'T.json'), JSON.stringify({ id: 'T', command: ['sleep', '3600'] }));
writeFileSync(
  path.join(dir, 'openstarry.yaml'),
  JSON.stringify({
    version: 1,
    design_layer: { path: './templates' },
    defaults: { backoff: { initial: '50ms' }, stop: { grace: '1s' } },
    ports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 },
  }),
);
const daemon = spawn(
  process.execPath,
  [path.join(ROOT, 'dist/cli/main.js'), 'start', '--config', path.join(dir, 'openstarry.yaml')],
  {
    env: { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home') },
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
let said = '';
daemon.stdout.on('data', (chunk) => (said += chunk));
const until = async (condition) => {
  for (const end = Date.now() + 30_000; Date.now() < end; await delay(20)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`Waited in vain; the daemon said:\n${said}`);
};

try {
  await until(() => said.includes('runs (pid'));
  const state = path.join(dir, 'home', 'orchestrator');
  const { ports } = JSON.parse(readFileSync(path.join(state, 'daemon.json'), 'utf8'));
  const token = readFileSync(path.join(state, 'token'), 'utf8').trim();
  const call = async (method, route, body) => {
    const response = await fetch(`http://127.0.0.1:${ports.api}${route}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return response.json();
  };
  const agent = (id) => call('GET', `/agents/${id}`);
  const generation = (id, n) =>
    until(async () => {
      const view = await agent(id);
      return view.generation === n && view.state === 'running' ? view : undefined;
    });

  await call('POST', '/agents', { agent_id: 'crashing', template_id: 'T' });
  for (const n of [1, 2, 3, 4]) process.kill((await generation('crashing', n)).pid, 'SIGKILL');
  await until(async () => (await agent('crashing')).state === 'disabled');
  await call('POST', '/agents/crashing/start');
  await generation('crashing', 5);

  await call('POST', '/agents', { agent_id: 'commanded', template_id: 'T' });
  await call('POST', '/agents/commanded/restart');
  await call('POST', '/agents/commanded/stop');
  await call('POST', '/agents/commanded/start');
  await call('POST', '/agents/commanded/signal', { name: 'SIGCONT' });
  await call('DELETE', '/agents/commanded');

  await call('POST', '/agents', { agent_id: 'finite', command: ['true'] });
  await until(async () => (await agent('finite')).state === 'completed');

  await call('POST', '/agents', { agent_id: 'paused', template_id: 'T' });
  for (const verb of ['pause', 'resume', 'pause', 'restart', 'pause']) await call('POST', `/agents/paused/${verb}`);
  process.kill((await agent('paused')).pid, 'SIGKILL');
  await until(async () => (await agent('paused')).restarts === 1);
  for (const verb of ['resume', 'pause', 'stop']) await call('POST', `/agents/paused/${verb}`);

  // One life is ended for its health, the other for its memory, until they are given up.
  const silent = { liveness: { heartbeat: '50ms' } };
  await call('POST', '/agents', { agent_id: 'unhealthy', template_id: 'T', health: silent });
  const limits = { memory: '1kB', for: '0s', action: 'kill' };
  await call('POST', '/agents', { agent_id: 'greedy', template_id: 'T', limits });
  for (const id of ['unhealthy', 'greedy']) await until(async () => (await agent(id)).state === 'disabled');

  await call('POST', '/agents', { agent_id: 'impossible', command: ['/no/such/program'] });

  const { findTemporal } = await import('../dist/daemon/temporal/binary.js');
  const cli = (await findTemporal()).path;
  const temporal = (...args) =>
    execFileSync(cli, [...args, '--address', `127.0.0.1:${ports.temporal}`], { encoding: 'utf8' });

  // A life that is told what is not so, and then what is.
  const { pid } = await call('POST', '/agents', { agent_id: 'told', template_id: 'T' });
  const exit = { generation: 1, code: 0, signal: null, cause: 'self', at: new Date().toISOString(), ran_ms: 1 };
  for (const input of [{ fence: 5 }, { fence: 1, last_exit: exit }, { fence: 1, live: { generation: 1, pid: 1 } }]) {
    const to = ['--workflow-id', 'agent/told', '--name', 'reconcile'];
    temporal('workflow', 'signal', ...to, '--input', JSON.stringify(input));
    await delay(300);
  }
  process.kill(pid, 'SIGKILL');
  await delay(1000);
  await call('POST', '/agents/told/stop');

  // Runs of each kind, and the life of an agent that two of them have started.
  const run = (body, wait = '30s') => call('POST', `/runs?wait=${wait}`, body);
  await call('POST', '/agents', { agent_id: 'watched', command: ['true'], autostart: false });
  await run({ run_id: 'at-rest', agent_id: 'watched', task: 'one' });
  await run({ run_id: 'again', agent_id: 'watched', task: 'two', cleanup: 'delete' });
  await run({ run_id: 'made', agent_id: 'made', command: ['true'], cleanup: 'delete' });
  await run({ run_id: 'unstartable', agent_id: 'unstartable', command: ['/no/such/program'] });
  await run({ run_id: 'late', agent_id: 'late', template_id: 'T', timeout: '1s' });
  await run({ run_id: 'cancelled', agent_id: 'late', task: 'x' }, '0s');
  await until(async () => (await agent('late')).state === 'running');
  await call('POST', '/runs/cancelled/cancel');
  await call('POST', '/agents', { agent_id: 'server', template_id: 'T' });
  await run({ run_id: 'mailed', agent_id: 'server', task: 'x', timeout: '1s' });

  // A call of a schedule of each mode.
  await call('POST', '/schedules', { schedule_id: 'said', agent_id: 'server', after: '1s' });
  await call('POST', '/schedules', { schedule_id: 'done', agent_id: 'late', after: '1s', mode: 'run', timeout: '1s' });
  const ticks = {};
  for (const id of ['said', 'done']) {
    const called = await until(async () => {
      const { recent, counts } = await call('GET', `/schedules/${id}`);
      return counts.running === 0 ? recent[0] : undefined;
    });
    ticks[`tick-${id}`] = called.workflow_id;
  }
  await until(async () => (await agent('late')).state === 'stopped');

  mkdirSync(OUT, { recursive: true });
  const agents = ['crashing', 'commanded', 'finite', 'impossible', 'paused', 'unhealthy', 'greedy', 'told', 'watched'];
  const runs = ['at-rest', 'made', 'unstartable', 'late', 'cancelled', 'mailed'];
  /** Workflow ids by the names of their files. */
  const recorded = {
    ...Object.fromEntries(agents.map((id) => [id, `agent/${id}`])),
    ...Object.fromEntries(runs.map((id) => [`run-${id}`, `run/${id}`])),
    ...ticks,
  };
  const wanted = process.argv.slice(2);
  for (const id of wanted.length === 0 ? Object.keys(recorded) : wanted) {
    const text = temporal('workflow', 'show', '--workflow-id', recorded[id], '-o', 'json');
    const file = path.join(OUT, `${id}_${VERSION}.json`);
    // Stack traces tell where the recording was made, which is nobody's business.
    const plain = JSON.stringify(JSON.parse(text)).replaceAll(ROOT.replace(/\/$/, ''), '/openstarry');
    writeFileSync(file, `${plain}\n`);
    process.stdout.write(`${path.relative(ROOT, file)}: ${JSON.parse(text).events.length} events\n`);
  }
} finally {
  daemon.kill('SIGINT');
  await new Promise((resolve) => daemon.once('exit', resolve));
  rmSync(dir, { recursive: true, force: true });
}
