import { expect, test } from 'vitest';
import { CommandLanes } from '../../src/service/command-lanes.ts';

/** Sends that end when told to. */
function sends() {
  const begun: string[] = [];
  const ends = new Map<string, { resolve: (value: string) => void; reject: (error: Error) => void }>();
  const send = (name: string) => (): Promise<string> => {
    begun.push(name);
    return new Promise((resolve, reject) => ends.set(name, { resolve, reject }));
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return { begun, ends, send, turn };
}

test('CommandLanes sends the commands of one agent one after the other, those of others beside it', async () => {
  const lanes = new CommandLanes();
  const { begun, ends, send, turn } = sends();
  const first = lanes.send('a', 'stop', send('a1'));
  const second = lanes.send('a', 'start', send('a2'));
  const other = lanes.send('b', 'stop', send('b1'));
  await turn();
  expect(begun).toEqual(['a1', 'b1']);
  ends.get('a1')?.resolve('one');
  expect(await first).toBe('one');
  await turn();
  expect(begun).toEqual(['a1', 'b1', 'a2']);
  ends.get('a2')?.resolve('two');
  ends.get('b1')?.resolve('three');
  expect(await Promise.all([second, other])).toEqual(['two', 'three']);
  expect(lanes.size).toBe(0);
});

test('CommandLanes merges equal neighbours that wait, not one that has been sent, not over another between', async () => {
  const lanes = new CommandLanes();
  const { begun, ends, send, turn } = sends();
  const sent = lanes.send('a', 'stop', send('1'));
  await turn();
  const queued = lanes.send('a', 'stop', send('2'));
  const merged = lanes.send('a', 'stop', send('never'));
  const between = lanes.send('a', 'start', send('3'));
  const after = lanes.send('a', 'stop', send('4'));
  for (const name of ['1', '2', '3', '4']) {
    await turn();
    ends.get(name)?.resolve(name);
  }
  expect(await Promise.all([sent, queued, merged, between, after])).toEqual(['1', '2', '2', '3', '4']);
  expect(begun).toEqual(['1', '2', '3', '4']);
});

test('CommandLanes never merges commands without a key', async () => {
  const lanes = new CommandLanes();
  const sent: number[] = [];
  await Promise.all([1, 2, 3].map((n) => lanes.send('a', null, async () => void sent.push(n))));
  expect(sent).toEqual([1, 2, 3]);
});

test('CommandLanes goes on after a command that failed, and tells only its own callers', async () => {
  const lanes = new CommandLanes();
  const failed = lanes.send('a', 'stop', () => Promise.reject(new Error('no')));
  const next = lanes.send('a', 'start', () => Promise.resolve('yes'));
  await expect(failed).rejects.toThrow('no');
  expect(await next).toBe('yes');
  expect(lanes.size).toBe(0);
});
