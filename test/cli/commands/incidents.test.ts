import os from 'node:os';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/contract/errors.ts';
import { cliFixture, type CliFixture } from '../cli-fixture.ts';

let cli: CliFixture;
beforeAll(async () => {
  cli = await cliFixture();
});
afterAll(() => cli?.end());
beforeEach(() => {
  cli.api.asked.length = 0;
  cli.api.state.answer = undefined;
});

const asked = () => cli.api.asked.map(({ method, args }) => ({ method, args }));

describe('incidents', () => {
  it('ls shows those that are not resolved, page by page', async () => {
    let page = 0;
    cli.api.state.answer = () => ({ incidents: [], next: (page += 1) < 3 ? page : null });
    const { code, out } = await cli.run(['incidents', 'ls', '--severity', 'critical', '--agent', 'w1']);
    expect([code, out]).toEqual([0, 'No incidents\n']);
    const filter = { limit: 500, severity: 'critical', agent_id: 'w1' };
    expect(asked()).toEqual([
      { method: 'incidents.list', args: [filter] },
      { method: 'incidents.list', args: [{ ...filter, before: 1 }] },
      { method: 'incidents.list', args: [{ ...filter, before: 2 }] },
    ]);
    cli.api.state.answer = undefined;
    expect((await cli.run(['incidents', 'ls', '-n', '0'])).code).toBe(2);
  });

  it('show tells what it is and what is proposed', async () => {
    const { out } = await cli.run(['incidents', 'show', 'agent.w1.1']);
    expect(out).toContain('agent.w1.1 is open, undecided (warning): it leaks');
    expect(out).toContain('proposed: restart w1 (risk low): so');
    expect(out).toContain('to be decided by 1970-01-01T01:00:00.000Z; then: keep');
    expect(JSON.parse((await cli.run(['incidents', 'show', 'i', '--json'])).out)).toMatchObject({ incident_id: 'i' });
  });

  it('open reports, and proposes', async () => {
    const said = ['--id', 'disk', '--severity', 'critical', '--value', 'disk 97 %', '--details', '{"disk":[1]}'];
    expect((await cli.run(['incidents', 'open', 'full', ...said])).out).toContain('disk is open');
    const proposal = ['--propose', 'restart w1', '--reason', 'so', '--expires', '2h', '--on-expiry', 'reject'];
    await cli.run(['incidents', 'open', 'leaks', ...proposal]);
    await cli.run(['incidents', 'open', 'leaks', '--propose', 'buy a disk', '--reason', 'so', '--risk', 'low']);
    expect(asked().map(({ args }) => args[0])).toEqual([
      { summary: 'full', incident_id: 'disk', severity: 'critical', value: 'disk 97 %', details: { disk: [1] } },
      {
        summary: 'leaks',
        proposal: {
          action: { command: 'restart', agent_id: 'w1' },
          reason: 'so',
          risk: 'high',
          expires: '2h',
          on_expiry: 'reject',
        },
      },
      { summary: 'leaks', proposal: { action: 'buy a disk', reason: 'so', risk: 'low' } },
    ]);
  });

  it.each([
    [['incidents', 'open', 'x', '--risk', 'low'], '--risk is for a proposal'],
    [['incidents', 'open', 'x', '--propose', 'y'], 'A proposal needs a --reason'],
    [['incidents', 'open', ' '], 'summary is " " (string); expected a sentence that says what is wrong, such as'],
    [['incidents', 'open', 'x', '--id', 'a b'], 'incident_id is "a b" (string); expected the id of an incident'],
    [['incidents', 'open', 'x', '--propose', 'y', '--reason', 'r', '--expires', 'soon'], 'proposal.expires is "soon"'],
  ])('%j is refused', async (args, says) => {
    const { code, err } = await cli.run(args);
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  });
});

describe('words', () => {
  it.each([
    [['incidents', 'ack'], 'acknowledge'],
    [['incidents', 'resolve'], 'resolve'],
    [['incidents', 'reopen'], 'reopen'],
    [['approve'], 'approve'],
    [['reject'], 'reject'],
  ])('%j', async (words, verb) => {
    const { code, out } = await cli.run([...words, 'disk', '--note', 'now', '--by', 'kim']);
    expect([code, out]).toEqual([0, expect.stringContaining('disk is open')]);
    await cli.run([...words, 'disk']);
    expect(asked()).toEqual([
      { method: 'incidents.act', args: [verb, 'disk', { by: 'kim', note: 'now' }] },
      { method: 'incidents.act', args: [verb, 'disk', { by: os.userInfo().username }] },
    ]);
  });

  it('tell what was decided before', async () => {
    const decision = { verdict: 'approved', by: 'lee', via: 'api', at: '2026-01-01T09:00:00.000Z', note: null };
    const message = 'disk was approved by lee at 2026-01-01T09:00:00.000Z';
    cli.api.state.answer = new CodedError('ALREADY_DECIDED', message, { decision });
    const { code, err } = await cli.run(['reject', 'disk']);
    expect([code, err]).toEqual([5, expect.stringContaining(`ALREADY_DECIDED ${message}`)]);
    const json = JSON.parse((await cli.run(['reject', 'disk', '--json'])).err) as unknown;
    expect(json).toMatchObject({ error: { code: 'ALREADY_DECIDED', details: { decision } } });
  });
});

describe('notify test', () => {
  it('tells which channels work, by its exit code, too', async () => {
    const { code, out } = await cli.run(['notify', 'test', 'ops']);
    expect([code, out]).toEqual([6, 'ops: failed, it is down\n']);
    expect(asked()).toEqual([{ method: 'incidents.testNotice', args: ['ops'] }]);
    cli.api.state.answer = [{ channel: 'ops', ok: true, reason: null }];
    expect((await cli.run(['notify', 'test'])).out).toBe('ops: sent\n');
    cli.api.state.answer = [];
    expect((await cli.run(['notify', 'test'])).out).toContain('No channel is configured');
  });
});
