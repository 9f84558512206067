// What the message bus and the state store in SQLite can do on this machine, beside a bare loop of inserts:
//   node scripts/build.mjs && node bench/bus.mjs [FOLDER]
// FOLDER is where the databases go, on the disk that is meant (default: the folder for temporary files). Durations in ms.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Database from 'libsql';
import { openSqliteBus } from '../dist/adapters/sqlite/bus.js';
import { openSqliteState } from '../dist/adapters/sqlite/state.js';
import { DEFAULT_AGEING_MS } from '../dist/domain/messages/queue-order.js';
import { DEFAULT_QUEUE_SETTINGS } from '../dist/domain/messages/queue-settings.js';

const folder = mkdtempSync(path.join(process.argv[2] ?? os.tmpdir(), 'openstarry-bench-'));
const file = (name) => path.join(folder, name);
const warn = (message) => process.stderr.write(`${message}\n`);
const payload = { task: 'look at this', n: 1, text: 'x'.repeat(100) };
const CALLERS = 32;

const bus = await openSqliteBus(file('bus.db'), {
  defaults: DEFAULT_QUEUE_SETTINGS,
  ageingMs: DEFAULT_AGEING_MS,
  deadLettersKeptMs: 7 * 24 * 3600_000,
  topics: { keepCount: 10_000, keepMs: 24 * 3600_000 },
  warn,
});
const state = await openSqliteState(file('state.db'), { warn });
const message = (queue, more = {}) => ({ queue, from: 'alice', type: 'TEXT', payload, ...more });
const receive = (queue, max) => bus.receive({ queues: [queue], consumer: 'bob/1', max });

try {
  bareLoop();
  await rate(`send, ${CALLERS} callers`, 20_000, CALLERS, () => bus.send([message('singles')]));
  await rate(`receive and ack, ${CALLERS} callers`, 20_000, CALLERS, async () => {
    const [delivery] = await receive('singles', 1);
    await bus.ack(delivery);
  });
  await rate('send, 1 caller', 2_000, 1, () => bus.send([message('one')]));
  const hundred = Array.from({ length: 100 }, () => message('hundreds'));
  await rate('send a hundred, 4 callers (messages/s)', 100_000, 4, () => bus.send(hundred), 100);

  await times('receive a message of high priority before 100,000 of low', 200, async (measured) => {
    await bus.send([message('hundreds', { priority: 9, from: 'ann' })]);
    const [delivery] = await measured(() => receive('hundreds', 1));
    if (delivery.from !== 'ann') throw new Error('it was not the first');
    await bus.ack(delivery);
  });
  await times('send to a queue with 100,000', 200, (measured) =>
    measured(() => bus.send([message('hundreds', { queue: 'hundreds', priority: 0 })])),
  );
  await times('statistics of all queues', 200, (measured) => measured(() => bus.queues()));
  await times('first page of a queue with 100,000', 200, (measured) =>
    measured(() => bus.browse({ queue: 'hundreds', limit: 100 })),
  );
  await rate('send, receive and ack beside 100,000, 32 callers', 10_000, CALLERS, async (n) => {
    const queue = `@agent_${n % 50}`;
    await bus.send([message(queue)]);
    for (const delivery of await receive(queue, 1)) await bus.ack(delivery);
  });

  await rate(`publish, ${CALLERS} callers`, 20_000, CALLERS, (n) =>
    bus.publish({ topic: `topic.t${n % 100}`, from: 'alice', payload }),
  );
  await times('events after a cursor', 200, async (measured) => {
    const after = await bus.latestEvent();
    await bus.publish({ topic: 'topic.t1', from: 'alice', payload });
    await measured(() => bus.events({ patterns: ['topic.*'], after, limit: 100 }));
  });
  await rate(`put, ${CALLERS} callers`, 20_000, CALLERS, (n) => state.put('shared', `key-${n % 1000}`, payload));
  await rate(`get, ${CALLERS} callers`, 20_000, CALLERS, (n) => state.get('shared', `key-${n % 1000}`));
} finally {
  await Promise.all([bus.close(), state.close()]);
  rmSync(folder, { recursive: true, force: true });
}

/** One insert a commit, each on the disk: what the disk and SQLite cost without anything of ours. */
function bareLoop() {
  const db = new Database(file('bare.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE bare (id INTEGER PRIMARY KEY, payload TEXT)');
  const insert = db.prepare('INSERT INTO bare (payload) VALUES (?)');
  const count = 5000;
  const from = performance.now();
  for (let n = 0; n < count; n += 1) insert.run(JSON.stringify(payload));
  report('bare inserts, one a commit', count, performance.now() - from);
  db.close();
}

async function rate(what, count, callers, work, per = 1) {
  const from = performance.now();
  let begun = 0;
  const caller = async () => {
    for (; begun < count;) {
      begun += per;
      await work(begun);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  report(what, count, performance.now() - from);
}

function report(what, count, ms) {
  process.stdout.write(`${what.padEnd(58)} ${String(Math.round((count / ms) * 1000)).padStart(8)} /s\n`);
}

async function times(what, count, work) {
  const all = [];
  const measured = async (call) => {
    const from = performance.now();
    const value = await call();
    all.push(performance.now() - from);
    return value;
  };
  for (let n = 0; n < count; n += 1) await work(measured);
  all.sort((a, b) => a - b);
  const at = (share) => all[Math.floor((all.length - 1) * share)].toFixed(2);
  process.stdout.write(`${what.padEnd(58)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms\n`);
}
