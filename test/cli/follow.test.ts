import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { FleetEvent } from '../../src/service/fleet-events.ts';
import { agentView } from '../api/api-fixture.ts';
import { until } from '../support/wait.ts';
import { cliFixture, type CliFixture } from './cli-fixture.ts';

let cli: CliFixture;
beforeAll(async () => {
  cli = await cliFixture();
});
beforeEach(() => {
  cli.api.state.answer = undefined;
  cli.api.asked.length = 0;
});
afterAll(() => cli.end());

/** Answers by method: what is asked for comes from the fixture's list of what was asked. */
function answers(byMethod: Record<string, (id: string, signal: AbortSignal) => unknown>): void {
  cli.api.state.answer = async (call: { signal: AbortSignal }) => {
    const { method, args } = cli.api.asked.at(-1)!;
    return byMethod[method]?.(String(args[0]), call.signal);
  };
}

const forever = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve()));

describe('agents logs of several', () => {
  test('each line begins with its agent, one after the other', async () => {
    answers({ logs: (id) => [`one of ${id}`, 'two'] });
    const { code, out } = await cli.run(['agents', 'logs', 'a', 'long-name', '-n', '2', '--since', '10m']);
    expect(code).toBe(0);
    expect(out).toBe('a         │ one of a\na         │ two\nlong-name │ one of long-name\nlong-name │ two\n');
    expect(cli.api.asked[0]!.args[1]).toEqual({ tail: 2, sinceMs: expect.any(Number) });
  });

  test('--all with --json gives an object a line', async () => {
    answers({ list: () => [agentView('a'), agentView('b')], logs: (id) => [`of ${id}`] });
    const { out } = await cli.run(['agents', 'logs', '--all', '--json']);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { agent_id: 'a', line: 'of a' },
      { agent_id: 'b', line: 'of b' },
    ]);
  });

  test('-f --all interleaves them as they come, also those of an agent that is new', async () => {
    const say = new Map<string, (line: string) => void>();
    let appear: (event: FleetEvent) => void = () => undefined;
    answers({
      list: () => [agentView('a'), agentView('b')],
      followLogs: (id, signal) =>
        (async function* () {
          for (;;) {
            const line = await Promise.race([
              new Promise<string>((resolve) => say.set(id, resolve)),
              forever(signal).then(() => undefined),
            ]);
            if (line === undefined) return;
            yield line;
          }
        })(),
      events: (_id, signal) =>
        (async function* () {
          yield await new Promise<FleetEvent>((resolve) => (appear = resolve));
          await forever(signal);
        })(),
    });
    const { child, ran } = cli.start(['agents', 'logs', '-f', '--all']);
    await until(() => say.has('a') && say.has('b'), { what: 'two followers' });
    say.get('b')!('first');
    await until(() => ran.out.includes('b │ first\n'), { what: 'a line of b' });
    say.get('a')!('second');
    await until(() => ran.out.endsWith('a │ second\n'), { what: 'a line of a' });
    await until(() => cli.api.asked.some(({ method }) => method === 'events'), { what: 'the events' });
    appear({ kind: 'agent', agent: agentView('c') });
    await until(() => say.has('c'), { what: 'a follower of the new one' });
    say.get('c')!('third');
    await until(() => ran.out.endsWith('c │ third\n'), { what: 'a line of c' });
    child.kill('SIGINT');
    await once(child, 'close');
  });

  test.for([[], ['a', '--all']])('%j exits 2', async (args) => {
    expect((await cli.run(['agents', 'logs', ...args])).code).toBe(2);
  });
});

describe('agents ls --watch', () => {
  test('shows the list again when something has changed', async () => {
    let state: 'running' | 'stopped' = 'running';
    let happen: (event: FleetEvent) => void = () => undefined;
    answers({
      list: () => [agentView('a', { state, started_at: null })],
      events: (_id, signal) =>
        (async function* () {
          yield await new Promise<FleetEvent>((resolve) => (happen = resolve));
          await forever(signal);
        })(),
    });
    const { child, ran } = cli.start(['agents', 'ls', '--watch']);
    await until(() => ran.out.includes('running'), { what: 'the first list' });
    await until(() => cli.api.asked.some(({ method }) => method === 'events'), { what: 'the events' });
    state = 'stopped';
    happen({ kind: 'agent', agent: agentView('a') });
    await until(() => ran.out.includes('stopped'), { what: 'the second list' });
    expect(ran.out).not.toContain('\u001b');
    child.kill('SIGINT');
    await once(child, 'close');
  });
});
