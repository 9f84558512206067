import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteBus, type SqliteBusOptions } from '../../../src/adapters/sqlite/bus.ts';
import { openSqliteState } from '../../../src/adapters/sqlite/state.ts';
import { busOptions, drain, messageOf, numbers, take, watching } from '../../../src/conformance/fixture.ts';
import { DAEMON_SENDER } from '../../../src/domain/messages/message.ts';
import { messageBusCases } from '../../../src/conformance/message-bus.ts';
import type { MessageBus } from '../../../src/ports/message-bus.ts';
import { conformance } from '../../contracts/conformance.ts';
import { until } from '../../support/wait.ts';

let folder: string;
let file: string;
let opened: MessageBus[];
const warnings: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-bus-'));
  file = path.join(folder, 'bus.db');
  opened = [];
  warnings.length = 0;
});
afterEach(async () => {
  await Promise.all(opened.map((bus) => bus.close()));
  await rm(folder, { recursive: true, force: true });
});

async function openBus(options: Partial<SqliteBusOptions> = {}): Promise<MessageBus> {
  const warn = (message: string): void => void warnings.push(message);
  const bus = await openSqliteBus(file, { ...busOptions({ warn }), ...options });
  opened.push(bus);
  return bus;
}

conformance('openSqliteBus', messageBusCases, async () => ({
  open: (options) => openSqliteBus(file, options),
  dispose: () => Promise.resolve(),
}));

describe('openSqliteBus on a file', () => {
  it('is readable by its owner only', async () => {
    const bus = await openBus();
    await bus.send([messageOf()]);
    for (const name of await readdir(folder)) expect((await stat(path.join(folder, name))).mode & 0o077).toBe(0);
  });

  it('believes its events, not a count that a death has left behind, and drops to its limits', async () => {
    const bus = await openBus({ topics: { keepCount: 2_000, keepMs: 3600_000 } });
    for (const n of numbers(1_500)) void bus.publish({ topic: 'news', from: 'a', payload: n });
    await bus.close();
    const db = new Database(file);
    db.exec('DELETE FROM event WHERE cursor <= 200'); // the row of the topic says 1500
    db.close();
    const again = await openBus({ topics: { keepCount: 700, keepMs: 3600_000 } });
    expect(await again.topics()).toMatchObject([{ topic: 'news', events: 700 }]);
    await again.publish({ topic: 'news', from: 'a', payload: 'last' });
    const { events, missed } = await again.events({ patterns: ['news'], after: 0, limit: 1000 });
    expect([events.length, events[0]?.payload, events.at(-1)?.payload, missed]).toEqual([700, 801, 'last', true]);
  });

  it('refuses a corrupt file, says what to do, and leaves it as it is', async () => {
    const content = 'this is no database\n'.repeat(500);
    await writeFile(file, content);
    await expect(openBus()).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: expect.stringMatching(/bus\.db is corrupt \(.+\)\. It is left as it is.+ move it away/),
    });
    expect(await readFile(file, 'utf8')).toBe(content);
    expect(await readdir(folder)).toEqual(['bus.db']);
  });

  it('refuses a file whose inner pages are damaged', async () => {
    const bus = await openBus();
    await bus.send(numbers(500).map((n) => messageOf({ payload: 'x'.repeat(500) + n })));
    await bus.close();
    const bytes = await readFile(file);
    bytes.fill(0x5a, 4096 * 3, bytes.length - 4096);
    await writeFile(file, bytes);
    await expect(openBus()).rejects.toMatchObject({ code: 'PLUGIN_FAILED' });
    expect(await readFile(file)).toEqual(bytes);
  });

  it('refuses a file of a newer schema', async () => {
    const newer = new Database(file);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    await expect(openBus()).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: expect.stringContaining('schema version 99'),
    });
  });

  it('refuses a folder that does not exist with STATE_DIR_UNUSABLE', async () => {
    file = path.join(folder, 'missing', 'bus.db');
    await expect(openBus()).rejects.toMatchObject({ code: 'STATE_DIR_UNUSABLE' });
  });

  it('begun anew, gives no id that the store before gave', async () => {
    const before = await openBus();
    const [old] = await before.send([messageOf()]);
    await before.close();
    const bornMs = Math.floor(Date.now() / 1000);
    for (const name of await readdir(folder)) await rm(path.join(folder, name));
    await until(() => Math.floor(Date.now() / 1000) > bornMs, { what: 'the next second' });
    const bus = await openBus();
    const [sent] = await bus.send([messageOf()]);
    expect(sent!.id > old!.id).toBe(true);
    await expect(bus.ack({ id: old!.id, lease: 'x' })).rejects.toMatchObject({ code: 'MESSAGE_NOT_FOUND' });
    expect(await bus.browse({ after: old!.id, limit: 9 })).toHaveLength(1);
    expect(await bus.browse({ after: 'zzzz', limit: 9 })).toHaveLength(0);
  });

  it('keeps its counters right when a transaction is taken back', async () => {
    const bus = await openBus({ maxBytes: 400_000 });
    const big = (n: number) => messageOf({ payload: 'x'.repeat(50_000) + n, queue: `q${n % 3}`, from: `s${n % 2}` });
    const sent = await Promise.allSettled(numbers(20).map((n) => bus.send([big(n)])));
    const accepted = sent.filter(({ status }) => status === 'fulfilled').length;
    expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(20);
    for (const result of sent) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'STORAGE_FULL' });
    }
    const counted = async (): Promise<number> =>
      (await bus.queues()).reduce((sum, { ready, leased }) => sum + ready + leased, 0);
    expect(await counted()).toBe(accepted);
    expect(await bus.browse({ limit: 100 })).toHaveLength(accepted);
    // What was acknowledged makes room.
    const [delivery] = await bus.receive({ queues: ['q0', 'q1', 'q2'], consumer: 'c/1', max: 1 });
    await bus.ack(delivery!);
    await bus.send([big(1)]);
    expect(await counted()).toBe(accepted);
    expect(await drain(bus, ['q0', 'q1', 'q2'])).toHaveLength(accepted);
    await bus.send([big(7)]);
    const { cursor } = await bus.publish({ topic: 't', from: 'a', payload: 1 });
    expect((await bus.events({ patterns: ['t'], after: cursor - 1, limit: 9 })).events).toHaveLength(1);
  });

  it('takes nothing new beyond its limit, lets everything be worked off, and then goes on', async () => {
    const bus = await openBus({ limitBytes: 3_000_000 });
    const big = (n: number) =>
      messageOf({ payload: 'x'.repeat(50_000) + n, ttlMs: 3_600_000, idempotencyKey: `k${n}` });
    const sent: string[] = [];
    const fill = async (): Promise<void> => {
      for (;;) sent.push((await bus.send([big(sent.length)]))[0]!.id);
    };
    await expect(fill()).rejects.toMatchObject({
      code: 'STORAGE_FULL',
      message: expect.stringMatching(
        /message bus holds 2\.9 MiB.+2\.9 MiB \(messages\.max_bytes\): .+ or raise the limit/,
      ),
      details: { limit: 3_000_000, of: 'messages.max_bytes' },
    });
    expect(sent.length).toBeGreaterThan(40);
    const event = { topic: 't', from: 'a', payload: 1 };
    await expect(bus.publish(event)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    // What was sent before is known, and the daemon can still say what is the matter.
    expect(await bus.send([big(0)])).toEqual([{ id: sent[0], duplicate: true }]);
    await bus.publish({ ...event, from: DAEMON_SENDER });
    await bus.send([messageOf({ from: DAEMON_SENDER, queue: '@chief' })]);
    // Handing out, extending, giving back and dying need room, too.
    const taken = await take(bus, 20);
    expect(taken).toHaveLength(20);
    const [one, two, three, ...others] = taken;
    await bus.extend(one!, 1000);
    await bus.nack(two!, { delayMs: 0 });
    await bus.nack(three!, { dead: true });
    expect(await bus.release('bob/1')).toBe(18);
    expect(others).toHaveLength(17);
    expect((await bus.queue('@alice'))?.ready).toBe(1); // the notice
    await expect(fill()).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(await bus.discard('work')).toBe(1);
    expect(await drain(bus)).toHaveLength(sent.length - 1);
    await bus.send([messageOf({ payload: 'again' })]);
    await bus.publish(event);
    expect(await drain(bus)).toEqual(['again']);
  });

  it('a lock that somebody holds stops neither the main thread, nor the state store, nor the calls afterwards', async () => {
    const bus = await openBus();
    const state = await openSqliteState(path.join(folder, 'state.db'), { warn: () => undefined });
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    try {
      const sent = bus.send([messageOf({ payload: 'patient' })]);
      let isSent = false;
      void sent.then(() => (isSent = true));
      const from = performance.now();
      let worstMs = 0;
      for (let last = from; performance.now() - from < 300; last = performance.now()) {
        await state.put('shared', 'beat', 1);
        worstMs = Math.max(worstMs, performance.now() - last);
      }
      expect(isSent).toBe(false);
      expect(worstMs).toBeLessThan(250); // a loaded machine; 5 ms alone
      other.exec('ROLLBACK');
      await sent;
      other.exec('BEGIN IMMEDIATE');
      await expect(bus.send([messageOf({ payload: 'in vain' })])).rejects.toMatchObject({ code: 'BUS_UNAVAILABLE' });
      other.exec('ROLLBACK');
      await bus.send([messageOf({ payload: 'later' })]);
      expect(await drain(bus)).toEqual(['patient', 'later']);
    } finally {
      other.close();
      await state.close();
    }
  }, 30_000);

  it('tells of the end of a lease when it comes, by the real clock', async () => {
    const bus = await openBus({ now: Date.now });
    const { ofQueue } = watching(bus);
    await bus.send([messageOf()]);
    const lateMs: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      const [delivery] = await take(bus, 1, 'work', { leaseMs: 100 });
      const told = ofQueue('work');
      await until(() => ofQueue('work') > told, { what: 'the end of the lease' });
      lateMs.push(Date.now() - delivery!.leaseUntilMs);
    }
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
    expect(lateMs.toSorted((a, b) => a - b)[1]).toBeLessThan(200); // a loaded machine; 5 ms alone
  });

  it('close gives up after its deadline, and says how many calls it gave up', async () => {
    const bus = await openBus();
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    const calls = numbers(3).map((n) => bus.send([messageOf({ payload: n })]));
    const outcomes = Promise.allSettled(calls);
    expect(await bus.close(50)).toEqual({ unsent: 3 });
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'BUS_UNAVAILABLE' } });
    }
    other.exec('ROLLBACK');
    other.close();
  });

  it('gives room back to the file system when much of it has become free', async () => {
    let nowMs = Date.now();
    const bus = await openBus({ now: () => nowMs });
    for (const n of numbers(20)) await bus.send(numbers(20).map(() => messageOf({ payload: 'x'.repeat(60_000) + n })));
    await drain(bus);
    const before = (await stat(file)).size;
    await until(
      async () => {
        nowMs += 61_000;
        await bus.queues();
        const copy = new Database(file);
        const [pages] = copy.prepare('PRAGMA page_count').raw().get() as [number];
        copy.close();
        return pages < 2500;
      },
      { what: `a file that had ${before} bytes to become smaller` },
    );
    expect(await bus.queue('work')).toMatchObject({ ready: 0, dead: 0 });
  });

  it('finds the high one before 100,000 low ones in a moment, and counts them without looking', async () => {
    const bus = await openBus();
    for (let batch = 0; batch < 100; batch += 1) {
      await bus.send(numbers(1000).map((n) => messageOf({ payload: n, priority: 1, from: `s${batch % 10}` })));
    }
    const times: number[] = [];
    for (let n = 0; n < 20; n += 1) {
      await bus.send([messageOf({ payload: 'high', priority: 9 })]);
      const from = performance.now();
      const [delivery] = await take(bus);
      times.push(performance.now() - from);
      expect(delivery?.payload).toBe('high');
      await bus.ack(delivery!);
    }
    const medianMs = times.toSorted((a, b) => a - b)[10] as number;
    const from = performance.now();
    expect((await bus.queue('work'))?.ready).toBe(100_000);
    const statsMs = performance.now() - from;
    process.stderr.write(
      `bus: high before 100,000 low ${medianMs.toFixed(2)} ms, counted in ${statsMs.toFixed(2)} ms\n`,
    );
    expect(medianMs).toBeLessThan(50); // a loaded machine; 1 ms alone
  }, 60_000);
});

describe('openSqliteBus when its process is killed', () => {
  it('keeps every acknowledged message, in order; what is sent again has the same id', async () => {
    const acknowledged = new Map<number, string>();
    let next = 0;
    for (let life = 0; life < 4; life += 1) {
      // The last one again, as a client does that has got no answer.
      const sender = spawnSender(file, Math.max(0, next - 1));
      const kill = 200 + life * 150;
      let count = 0;
      for await (const line of createInterface({ input: sender.stdout })) {
        const [n, id] = JSON.parse(line) as [number, string];
        expect(acknowledged.get(n) ?? id).toBe(id);
        acknowledged.set(n, id);
        next = Math.max(next, n + 1);
        count += 1;
        if (count === kill) sender.kill('SIGKILL');
      }
      if (sender.signalCode === null) await once(sender, 'exit');
      expect(count).toBeGreaterThanOrEqual(kill);
    }
    const bus = await openBus();
    const stored = await bus.browse({ queue: 'work', limit: 100_000 });
    const payloads = stored.map(({ payload }) => payload as number);
    for (const [n, id] of acknowledged) expect(stored[payloads.indexOf(n)]?.id).toBe(id);
    expect(payloads).toEqual([...new Set(payloads)].toSorted((a, b) => a - b));
    expect(await drain(bus)).toEqual(payloads);
  }, 60_000);
});

/** A file system of its own can only be mounted by root; elsewhere the limit of the database has to do (above). */
const canMount =
  process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

describe.runIf(canMount)('openSqliteBus on a full disk', () => {
  let disk: string;
  beforeEach(() => {
    disk = folder;
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m,mode=0700', 'tmpfs', disk]);
    expect(status).toBe(0);
  });
  afterEach(() => void spawnSync('umount', ['-l', disk]));

  it('refuses with STORAGE_FULL, loses nothing that was acknowledged, and goes on when there is room', async () => {
    const bus = await openBus();
    const ballast = path.join(disk, 'ballast');
    writeFileSync(ballast, Buffer.alloc(2 * 1024 ** 2));
    const accepted: number[] = [];
    const sendUntilFull = async (): Promise<void> => {
      for (let n = 0; ; n += 1) {
        await bus.send([messageOf({ payload: [n, 'x'.repeat(10_000)] })]);
        accepted.push(n);
      }
    };
    await expect(sendUntilFull()).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(accepted.length).toBeGreaterThan(10);
    expect((await bus.queue('work'))?.ready).toBe(accepted.length); // looking needs no room
    rmSync(ballast);
    await bus.send([messageOf({ payload: [-1] })]);
    await bus.close();
    const again = await openBus();
    expect((await drain(again)).map((payload) => (payload as [number])[0])).toEqual([...accepted, -1]);
  });
});

/** Sends one message after the other, each under a key of its own, and prints number and id of each that was answered. */
function spawnSender(database: string, first: number): ChildProcessByStdio<null, Readable, null> {
  const moduleUrl = (name: string): string =>
    JSON.stringify(fileURLToPath(new URL(`../../../dist/${name}.js`, import.meta.url)));
  const script = `
    import { openSqliteBus } from ${moduleUrl('adapters/sqlite/bus')};
    import { busOptions, messageOf } from ${moduleUrl('conformance/fixture')};
    const bus = await openSqliteBus(${JSON.stringify(database)}, busOptions());
    for (let n = ${first}; ; n += 4) {
      const sent = [n, n + 1, n + 2, n + 3].map(async (payload) => {
        const [{ id }] = await bus.send([messageOf({ payload, idempotencyKey: 'k' + payload })]);
        process.stdout.write(JSON.stringify([payload, id]) + '\\n');
      });
      await Promise.all(sent);
    }`;
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}
