import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CodedError } from '../../../src/contract/errors.ts';
import { agentView } from '../../api/api-fixture.ts';
import { cliFixture, type CliFixture } from '../cli-fixture.ts';

let cli: CliFixture;
beforeAll(async () => {
  cli = await cliFixture();
});
beforeEach(() => {
  cli.api.state.answer = undefined;
  cli.api.asked.length = 0;
});
afterAll(() => cli.end());

describe('agents rm', () => {
  const removed = () => cli.api.asked.filter(({ method }) => method === 'remove').map(({ args }) => args[0]);

  test('deletes several, and tells what one refuses', async () => {
    expect(await cli.run(['agents', 'rm', 'a', 'b', '--purge'])).toMatchObject({
      code: 0,
      out: 'a is gone\nb is gone\n',
    });
    expect(cli.api.asked.map(({ method, args }) => [method, args])).toEqual([
      ['remove', ['a', expect.objectContaining({ purge: true })]],
      ['remove', ['b', expect.objectContaining({ purge: true })]],
    ]);
    cli.api.state.answer = new CodedError('AGENT_NOT_FOUND', 'There is no agent x');
    const none = await cli.run(['agents', 'rm', 'x', 'y', '--json']);
    expect([none.code, JSON.parse(none.out)]).toMatchObject([3, { total: 2, settled: 0, failed: 2 }]);
  });

  test.for([['--all'], ['--fault-domain', 'default']])('%j selects among those there are', async (selection) => {
    expect(await cli.run(['agents', 'rm', ...selection])).toMatchObject({ code: 0, out: 'a is gone\nb is gone\n' });
    expect(removed()).toEqual(['a', 'b']);
  });

  test('a selection may be empty, none at all is refused', async () => {
    const none = await cli.run(['agents', 'rm', '--fault-domain', 'data']);
    expect(none).toMatchObject({ code: 0, out: 'No agent is selected\n' });
    await cli.run(['agents', 'rm', '--label', 'team=x']);
    expect(cli.api.asked.filter(({ method }) => method === 'list').at(-1)?.args[0]).toEqual({ labels: ['team=x'] });
    cli.api.asked.length = 0;
    for (const args of [[], ['a', '--all']]) {
      expect(await cli.run(['agents', 'rm', ...args])).toMatchObject({ code: 2, err: expect.stringContaining('rm: ') });
    }
    expect(cli.api.asked).toEqual([]);
  });
});

describe('agents <verb>', () => {
  test.for(['start', 'stop', 'restart', 'pause', 'resume'])('%s commands one', async (verb) => {
    const { code, out } = await cli.run(['agents', verb, 'a', '--wait', 'none']);
    expect([code, out]).toEqual([0, 'a is running, pid 42, generation 1: created\n']);
    expect(cli.api.asked).toMatchObject([{ method: verb, args: ['a', { waitMs: 0 }] }]);
  });

  test('several that are named are each asked for, and each has its own answer', async () => {
    cli.api.state.answer = async (call: unknown, ...args: unknown[]) => {
      void call;
      void args;
      return { agent_id: 'x', revision: 1, settled: false, agent: agentView('x', { state: 'stopping' }), note: 'soon' };
    };
    const { code, out } = await cli.run(['agents', 'stop', 'a', 'b', '--grace', '1s']);
    expect([code, out]).toEqual([0, 'a is stopping, not there yet: soon\nb is stopping, not there yet: soon\n']);
    expect(cli.api.asked.map(({ method, args }) => [method, args[0]])).toEqual([
      ['stop', 'a'],
      ['stop', 'b'],
    ]);
  });

  test.for<[string[], unknown]>([
    [['--all'], { kind: 'all' }],
    [['--label', 'team=x', '--label', 'y'], { kind: 'some', labels: ['team=x', 'y'] }],
    [['--fault-domain', 'data'], { kind: 'some', labels: [], faultDomain: 'data' }],
  ])('%j selects', async ([selection, expected]) => {
    const { code, out } = await cli.run(['agents', 'stop', ...selection]);
    expect([code, out]).toEqual([0, 'a is stopped\n']);
    const [asked] = cli.api.asked;
    expect([asked?.method, asked?.args.slice(0, 2)]).toEqual(['commandMany', ['stop', expected]]);
  });

  test('what one refuses stands in its line, and in the exit code', async () => {
    const { code, message, remedy } = new CodedError('TEMPORAL_UNAVAILABLE', 'Temporal is away');
    cli.api.state.answer = [
      { agent_id: 'a', settled: true, state: 'running' },
      { agent_id: 'b', settled: false, error: { code, message, remedy } },
    ];
    const human = await cli.run(['agents', 'restart', '--all']);
    expect([human.code, human.out]).toEqual([7, 'a is running\nb: TEMPORAL_UNAVAILABLE Temporal is away\n']);
    const json = await cli.run(['agents', 'restart', '--all', '--json']);
    expect([json.code, JSON.parse(json.out)]).toMatchObject([7, { total: 2, settled: 1, failed: 1 }]);
  });

  test('nothing selected is said, not an error', async () => {
    cli.api.state.answer = [];
    expect(await cli.run(['agents', 'stop', '--label', 'no'])).toMatchObject({
      code: 0,
      out: 'No agent is selected\n',
    });
  });

  test.for([[], ['a', '--all'], ['--all', '--label', 'x']])('%j exits 2: nothing is never all', async (args) => {
    const { code, err } = await cli.run(['agents', 'stop', ...args]);
    expect([code, err]).toEqual([2, expect.stringContaining('INVALID_REQUEST stop: ')]);
    expect(cli.api.asked).toEqual([]);
  });
});
