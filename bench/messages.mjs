// How fast messages are through the API of a real daemon (SQLite, every message on the disk before it is answered), over
// loopback, with the benchmark on the same machine. Needs a build (`npm run build`). Arguments: none.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SINGLES = 5_000;
const BATCHES = 300;
const BATCH = 100;
const CALLERS = 8;
const LATENCY_SECONDS = 15;
const LATENCY_PER_SECOND = 200;
const LOW = 100_000;
const HIGH = 20;

const dir = mkdtempSync(path.join(os.tmpdir(), 'openstarry-bench-'));
const state = path.join(dir, 'home', 'orchestrator');
const entry = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

writeFileSync(
  path.join(dir, 'openstarry.yaml'),
  JSON.stringify({
    version: 1,
    ports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 },
    agents: Object.fromEntries(['single', 'batch', 'timed', 'flood'].map((id) => [id, { command: ['sleep', '3600'] }])),
  }),
);
const daemon = spawn(process.execPath, [entry, 'start', '--config', path.join(dir, 'openstarry.yaml')], {
  env: { ...process.env, OPENSTARRY_HOME: path.join(dir, 'home') },
  stdio: ['ignore', 'pipe', 'inherit'],
});
let output = '';
daemon.stdout.on('data', (chunk) => (output += chunk));
const exited = once(daemon, 'exit');

try {
  await until(() => output.includes('runs (pid '));
  const { ports } = JSON.parse(readFileSync(path.join(state, 'daemon.json'), 'utf8'));
  const token = readFileSync(path.join(state, 'token'), 'utf8').trim();
  const call = caller(ports.api, token);
  await until(async () => {
    const { agents } = await call('GET', '/agents');
    return agents.length === 4 && agents.every(({ state }) => state === 'running');
  });
  await singles(call);
  await batches(call);
  await latency(call);
  await inTheWay(call);
} finally {
  daemon.kill('SIGTERM');
  await exited;
  rmSync(dir, { recursive: true, force: true });
}

async function singles(call) {
  await inParallel(CALLERS, 500, () => call('POST', '/agents/single/messages', text('warm-up')));
  for (const callers of [1, CALLERS]) {
    const seconds = await inParallel(callers, SINGLES, (n) => call('POST', '/agents/single/messages', text(n)));
    say(`single durable sends, ${callers} caller(s)`, `${rate(SINGLES, seconds)} messages/s`);
  }
}

async function batches(call) {
  const body = { messages: Array.from({ length: BATCH }, (_, n) => text(n)) };
  for (const callers of [1, CALLERS]) {
    const seconds = await inParallel(callers, BATCHES, () => call('POST', '/agents/batch/messages', body));
    say(`durable sends in batches of ${BATCH}, ${callers} caller(s)`, `${rate(BATCHES * BATCH, seconds)} messages/s`);
  }
}

/** From the beginning of a send until the receiver, who waits by long poll, has the message. */
async function latency(call) {
  const took = [];
  const sentAt = new Map();
  const over = { sending: false };
  const receiver = (async () => {
    while (!over.sending || sentAt.size > 0) {
      const { messages } = await call('GET', '/agents/timed/messages?max=10&wait=1s');
      const now = performance.now();
      for (const { payload } of messages) {
        took.push(now - sentAt.get(payload));
        sentAt.delete(payload);
      }
      await Promise.all(messages.map(({ id, lease }) => call('POST', `/agents/timed/messages/${id}/ack`, { lease })));
    }
  })();
  const total = LATENCY_SECONDS * LATENCY_PER_SECOND;
  const begun = performance.now();
  const sends = [];
  for (let n = 0; n < total; n += 1) {
    const due = begun + (n * 1000) / LATENCY_PER_SECOND;
    if (due > performance.now()) await delay(due - performance.now());
    sentAt.set(n, performance.now());
    sends.push(call('POST', '/agents/timed/messages', text(n)));
  }
  await Promise.all(sends);
  over.sending = true;
  await receiver;
  say(`send to receive at ${LATENCY_PER_SECOND}/s, each acknowledged`, spread(took));
}

/** What messages of low priority in the way cost one of high priority: sent, then received. */
async function inTheWay(call) {
  const high = async () => {
    const begun = performance.now();
    await call('POST', '/agents/flood/messages', { ...text('high'), priority: 9 });
    const { messages } = await call('GET', '/agents/flood/messages?max=1');
    const ms = performance.now() - begun;
    if (messages[0]?.payload !== 'high') throw new Error('a message of low priority came first');
    await call('POST', `/agents/flood/messages/${messages[0].id}/ack`, { lease: messages[0].lease });
    return ms;
  };
  const measured = async () => {
    const took = [];
    for (let n = 0; n < HIGH; n += 1) took.push(await high());
    return took;
  };
  await measured();
  const alone = await measured();
  const body = { messages: Array.from({ length: BATCH }, () => ({ ...text('low'), priority: 0 })) };
  await inParallel(CALLERS, LOW / BATCH, () => call('POST', '/agents/flood/messages', body));
  const behind = await measured();
  say('a message of high priority, sent and received, alone', spread(alone));
  say(`the same with ${LOW} of low priority in its way`, spread(behind));
}

function caller(port, token) {
  const agent = new http.Agent({ keepAlive: true });
  return (method, route, body) =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers = {
        authorization: `Bearer ${token}`,
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
      };
      const request = http.request({ agent, host: '127.0.0.1', port, method, path: route, headers }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString();
          if (response.statusCode < 300) resolve(JSON.parse(answer));
          else reject(new Error(`${method} ${route}: ${response.statusCode} ${answer}`));
        });
      });
      request.on('error', reject);
      request.end(payload);
    });
}

/** @returns how many seconds it took */
async function inParallel(callers, count, work) {
  let next = 0;
  const begun = performance.now();
  const run = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: callers }, run));
  return (performance.now() - begun) / 1000;
}

async function until(condition) {
  for (const end = performance.now() + 60_000; performance.now() < end; await delay(50)) {
    if (await condition()) return;
  }
  throw new Error(`the daemon did not come up:\n${output}`);
}

function text(payload) {
  return { type: 'BENCH', payload };
}

function rate(count, seconds) {
  return Math.round(count / seconds).toLocaleString('en');
}

function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms (${values.length})`;
}

function say(what, figure) {
  process.stdout.write(`${what.padEnd(62)} ${figure}\n`);
}
