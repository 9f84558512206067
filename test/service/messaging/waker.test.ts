import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../../src/contract/errors.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, asAgent, messagingFixture, text, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture();
});
afterEach(() => fixture.end());

const input = { agent_id: 'a', wake_on_message: true };
const rest = (phase: 'stopped' | 'completed' | 'disabled' | 'paused', at_ms = Date.now()) =>
  fixture.agent('a', { input, phase: { kind: phase }, desired: phase === 'paused' ? 'paused' : 'stopped', at_ms });
const mail = (payload: string) => fixture.messaging.messages.send(ADMIN, '@a', [text(payload)]);
const untilStarted = (count: number) =>
  until(() => fixture.started.length >= count, { what: `${count} starts; there are ${fixture.started.length}` });

/** Whatever it does, it has done it by the time that another agent is woken. */
async function untilQuiet(): Promise<void> {
  const before = fixture.started.length;
  await fixture.agent('probe', {
    input: { agent_id: 'probe', wake_on_message: true },
    phase: { kind: 'stopped' },
    at_ms: Date.now() - 1,
  });
  await fixture.messaging.messages.send(ADMIN, '@probe', [text('x')]);
  await until(() => fixture.started.includes('probe'), { what: 'the probe' });
  await fixture.agent('probe', { input: { agent_id: 'probe' }, phase: { kind: 'live' } });
  fixture.started.splice(
    before,
    fixture.started.length,
    ...fixture.started.slice(before).filter((id) => id !== 'probe'),
  );
}

describe('Waker', () => {
  it('starts an agent at rest for a message', async () => {
    await rest('stopped', Date.now() - 10);
    await fixture.messaging.begin();
    await mail('hello');
    await untilStarted(1);
    expect(fixture.started[0]).toBe('a');
  });

  it('starts it for what came while no daemon lived, and not for what it was stopped with', async () => {
    await rest('completed', Date.now() - 10);
    await mail('while down');
    await fixture.close();
    await fixture.reopen();
    await fixture.messaging.begin();
    await untilStarted(1);
    fixture.started.length = 0;
    // Stopped by somebody, with the message unread.
    await rest('stopped', Date.now() + 60_000);
    await untilQuiet();
    expect(fixture.started).toEqual([]);
  });

  it('starts one that has completed for what came while it was leaving', async () => {
    const begun = Date.now();
    await fixture.agent('a', { input });
    await fixture.messaging.begin();
    await mail('just too late');
    const exit = { generation: 1, code: 0, signal: null, cause: 'self' as const, reason: '', log_tail: '' };
    const at = new Date(begun + 60_000).toISOString();
    await fixture.agent(
      'a',
      { input, phase: { kind: 'completed' }, at_ms: begun + 60_000 },
      { last_exit: { ...exit, at, ran_ms: 60_500 } },
    );
    await untilStarted(1);
  });

  it.each(['disabled', 'paused'] as const)('leaves one that is %s alone', async (phase) => {
    await rest(phase, Date.now() - 10);
    await fixture.messaging.begin();
    await mail('hello');
    await untilQuiet();
    expect(fixture.started).toEqual([]);
  });

  it('leaves one alone that does not ask for it, or whose mail was taken', async () => {
    await fixture.agent('a', { phase: { kind: 'stopped' }, at_ms: Date.now() - 10 });
    await fixture.messaging.begin();
    await mail('hello');
    await fixture.messaging.messages.receive(ADMIN, 'a', { max: 1, waitMs: 0 });
    await rest('stopped', Date.now() - 10);
    await untilQuiet();
    expect(fixture.started).toEqual([]);
  });

  it('tries again when the start was refused', async () => {
    fixture.failure.next = new CodedError('TEMPORAL_UNAVAILABLE', 'away');
    await rest('stopped', Date.now() - 10);
    await fixture.messaging.begin();
    await mail('hello');
    await until(() => fixture.warnings.some((line) => line.includes('for its mail')), { what: 'the warning' });
    await untilStarted(1);
  }, 20_000);

  it('starts nothing any more once it rests', async () => {
    await rest('stopped', Date.now() - 10);
    await fixture.messaging.begin();
    fixture.messaging.stopWaking();
    await mail('hello');
    expect(await fixture.messaging.messages.receive(asAgent('a'), 'a', { max: 1, waitMs: 1000 })).toHaveLength(1);
    expect(fixture.started).toEqual([]);
  });
});
