import { expect, test } from 'vitest';
import { tailAndFollow } from '../../src/service/agent-logs.ts';
import { until } from '../support/wait.ts';
import { Lines } from './lines.ts';

test('tailAndFollow loses no line that is written while the tail is read', async () => {
  const logs = new Lines();
  logs.write('a', '1', '2');
  const readTail = logs.tail.bind(logs);
  logs.tail = async (agentId, options) => {
    const tail = await readTail(agentId, options);
    await until(() => logs.readers === 1, { what: 'following' });
    logs.write('a', '3');
    return tail;
  };
  const end = new AbortController();
  const seen: string[] = [];
  for await (const line of tailAndFollow(logs, 'a', { lines: 10 }, end.signal)) {
    seen.push(line);
    if (line === '3') logs.write('a', '4');
    if (line === '4') end.abort();
  }
  expect(seen).toEqual(['1', '2', '3', '4']);
});

test('tailAndFollow stops following when the tail cannot be read', async () => {
  const logs = new Lines();
  logs.tail = () => Promise.reject(new Error('disk'));
  const lines = tailAndFollow(logs, 'a', { lines: 10 }, new AbortController().signal);
  await expect(lines.next()).rejects.toThrow('disk');
  await until(() => logs.readers === 0, { what: 'the follower to end' });
});
