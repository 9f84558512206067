import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteBus } from '../../../src/adapters/sqlite/bus.ts';
import { openSqliteRoster } from '../../../src/adapters/sqlite/roster.ts';
import { openSqliteState } from '../../../src/adapters/sqlite/state.ts';
import { busOptions, drain, messageOf, numbers, take, watching } from '../../../src/conformance/fixture.ts';
import type { RosterChange } from '../../../src/ports/roster.ts';
import { decisionOf, transitionOf } from '../../contracts/roster-contract.ts';
import { until } from '../../support/wait.ts';

let folder: string;
let warnings: string[];
let endings: (() => Promise<unknown>)[];
const warn = (message: string): void => void warnings.push(message);
/** The threads of this process, in the order of their start. */
const threads: Worker[] = [];
const onWorker = (worker: Worker): void => void threads.push(worker);

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-thread-'));
  warnings = [];
  endings = [];
  threads.length = 0;
  process.on('worker', onWorker);
});
afterEach(async () => {
  for (const end of endings) await end();
  process.off('worker', onWorker);
  await rm(folder, { recursive: true, force: true });
});

const opening =
  <Options, Port extends { close(): Promise<unknown> }>(open: (file: string, options: Options) => Promise<Port>) =>
  async (options: Options): Promise<Port> => {
    const port = await open(path.join(folder, 'store.db'), options);
    endings.push(() => port.close());
    return port;
  };
const openBus = (options = {}) => opening(openSqliteBus)({ ...busOptions({ warn, now: Date.now }), ...options });
const openState = () => opening(openSqliteState)({ warn });
const openRoster = () => opening(openSqliteRoster)({ warn });

const theThread = (): Worker => threads.at(-1) as Worker;
/** By a message that it cannot read: to terminate a thread within a call of the database ends this whole process. */
async function endThread(): Promise<void> {
  const thread = theThread();
  const ended = new Promise((resolve) => thread.once('exit', resolve));
  thread.postMessage(null);
  await ended;
}
const isBack = (times = 1): Promise<boolean> =>
  until(() => warnings.filter((warning) => warning.includes('is open again')).length === times, {
    what: 'the thread to be back',
  });

describe('a store whose thread dies', () => {
  it('refuses what was under way and what comes meanwhile, says so once, and goes on with what was answered', async () => {
    const bus = await openBus();
    await bus.send(numbers(3).map((n) => messageOf({ payload: n })));
    const ended = endThread(); // before it gets these
    const underWay = numbers(50).map((n) => bus.send([messageOf({ payload: 'x'.repeat(100_000), queue: `q${n}` })]));
    const outcomes = await Promise.allSettled(underWay);
    await ended;
    expect(outcomes).toHaveLength(50);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'BUS_UNAVAILABLE',
          message: expect.stringMatching(/store\.db failed: its thread ended.*may have been done.*opened again/),
        },
      });
    }
    await expect(bus.queues()).rejects.toMatchObject({
      code: 'BUS_UNAVAILABLE',
      message: expect.stringMatching(/is being opened again \(its thread ended with .+\): try again in a moment/),
    });
    await isBack();
    expect(warnings).toEqual([
      expect.stringMatching(/message bus .*store\.db failed: its thread ended with .+\. It is being opened again/),
      expect.stringMatching(/message bus .*store\.db is open again, after \d/),
    ]);
    expect(await drain(bus)).toEqual([0, 1, 2]);
    expect(await bus.send([messageOf()])).toHaveLength(1);
  });

  it('is opened again after an error that nobody has caught, again and again', async () => {
    const state = await openState();
    await state.put('shared', 'k', 1);
    for (const times of [1, 2, 3]) {
      theThread().postMessage('no list of requests');
      await until(() => warnings.some((warning) => warning.includes('its thread ended with')), { what: 'its death' });
      await isBack(times);
      expect(await state.get('shared', 'k')).toMatchObject({ value: times });
      await state.put('shared', 'k', times + 1);
    }
  });

  it('a bus looks after its leases again, and tells its watchers of what they may have missed', async () => {
    const bus = await openBus();
    await bus.send([messageOf({ payload: 'leased' }), messageOf({ payload: 'ready', queue: 'other' })]);
    await bus.publish({ topic: 'news', from: 'a', payload: 1 });
    const [held] = await take(bus, 1, 'work', { leaseMs: 700 });
    const { ofQueue, changes } = watching(bus);
    await endThread();
    await isBack();
    await until(() => ofQueue('other') > 0 && changes.some(({ kind }) => kind === 'event'), {
      what: 'the watchers to be told',
    });
    await until(() => ofQueue('work') > 0, { what: 'the end of the lease' });
    expect(Date.now()).toBeGreaterThanOrEqual(held!.leaseUntilMs);
    expect(await take(bus)).toMatchObject([{ payload: 'leased', attempt: 2 }]);
  });

  it('is refused with the reason while the file is damaged, and is back when the file is', async () => {
    const state = await openState();
    await state.put('shared', 'k', 'kept');
    const file = path.join(folder, 'store.db');
    await endThread();
    await rename(file, `${file}.good`);
    await writeFile(file, 'this is no database\n'.repeat(500));
    await rm(`${file}-wal`, { force: true });
    await until(() => warnings.length === 2, { what: 'what is wrong with the file' });
    expect(warnings[1]).toMatch(
      /state store .*store\.db cannot be opened again: .+ is corrupt .+ tried again and again/,
    );
    await expect(state.get('shared', 'k')).rejects.toMatchObject({
      code: 'STATE_UNAVAILABLE',
      message: expect.stringMatching(/is being opened again \(The state store .+ is corrupt/),
    });
    await until(() => threads.length >= 4, { what: 'further attempts' });
    expect(warnings).toHaveLength(2);
    await rename(`${file}.good`, file);
    await isBack();
    expect(await state.put('shared', 'new', 1)).toMatchObject({ value: 1 });
  });

  it('closes while its thread is away', async () => {
    const bus = await openBus();
    await endThread();
    expect(await bus.close(1000)).toEqual({ unsent: 0 });
    await expect(bus.queues()).rejects.toMatchObject({
      code: 'BUS_UNAVAILABLE',
      message: expect.stringMatching(/closed/),
    });
    expect(threads).toHaveLength(1);
  });
});

describe('a roster whose thread dies', () => {
  it('refuses nothing: what was under way and what comes meanwhile is done when it is back, in order', async () => {
    const roster = await openRoster();
    await roster.publish(decisionOf({ agent_id: 'before' }));
    const ended = endThread();
    const published = numbers(200).map((n) =>
      roster.publish(decisionOf({ agent_id: `a${n}`, transitions: [transitionOf(1)] })),
    );
    await ended;
    const facts = numbers(20).map((n) => roster.setFact('last', String(n)));
    const read = roster.getFact('last');
    await Promise.all([...published, ...facts]);
    expect(await read).toBe('19');
    expect(await roster.list()).toHaveLength(201);
    expect(await roster.history('a7', { limit: 9 })).toHaveLength(1);
    expect(warnings).toHaveLength(2);
  });

  it('tells its listeners again how everything is, also of whom is gone', async () => {
    const roster = await openRoster();
    for (const agent_id of ['a', 'b']) await roster.publish(decisionOf({ agent_id }));
    const changes: RosterChange[] = [];
    roster.subscribe((change) => changes.push(change));
    // As if the thread had died between the commit and the telling.
    await endThread();
    const other = await openSqliteRoster(path.join(folder, 'store.db'), { warn: () => undefined });
    await other.remove('b');
    await other.publish(decisionOf({ agent_id: 'a', sequence: 2, reason: 'newer' }));
    await other.close();
    await until(() => changes.length === 2, { what: 'the changes' });
    expect(changes).toMatchObject([
      { kind: 'removed', agent_id: 'b' },
      { kind: 'row', row: { agent_id: 'a', decision: { reason: 'newer' } } },
    ]);
  });
});
