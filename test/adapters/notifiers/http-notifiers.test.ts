import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { post } from '../../../src/adapters/notifiers/http-post.ts';
import { channelProblem, notifierOf } from '../../../src/adapters/notifiers/notifier-of.ts';
import { NotifierFailure, type Notice } from '../../../src/ports/notifier.ts';
import { Receiver } from '../../support/receiver.ts';

const NOTICE: Notice = {
  delivery_id: 'disk/abc.1',
  severity: 'warning',
  title: '[warning] w1: <!channel> & more',
  text: 'CPU 95 % (limit 90 %), AutoHeal tried: failed, manual work needed\nagent w1',
  data: { incident_id: 'disk' },
};
const NEVER = new AbortController().signal;

let receiver: Receiver;
beforeEach(async () => {
  receiver = await new Receiver().start();
});
afterEach(() => receiver.stop());

const send = (type: 'slack' | 'webhook', secret: string | null = null): Promise<void> =>
  notifierOf({ name: 'ops', type, url: receiver.url, secret } as Parameters<typeof notifierOf>[0]).send(NOTICE, NEVER);

async function failureOf(work: Promise<unknown>): Promise<NotifierFailure> {
  const error = await work.then(() => undefined).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(NotifierFailure);
  return error as NotifierFailure;
}

describe('slack', () => {
  it('gets one text, in which nobody is called and nothing is a link', async () => {
    await send('slack');
    const [{ body, headers, path }] = receiver.received as [(typeof receiver.received)[0]];
    expect(path).toBe('/hook/s3cret');
    expect(headers['content-type']).toBe('application/json; charset=utf-8');
    expect(JSON.parse(body)).toEqual({
      text: `:warning: *[warning] w1: &lt;!channel&gt; &amp; more*\n${NOTICE.text}`,
    });
  });
});

describe('webhook', () => {
  it('gets the notice as it is, with the id of the delivery', async () => {
    await send('webhook');
    const [{ body, headers }] = receiver.received as [(typeof receiver.received)[0]];
    expect(JSON.parse(body)).toEqual(NOTICE);
    expect(headers['x-openstarry-delivery']).toBe('disk/abc.1');
    expect(headers['x-openstarry-signature']).toBeUndefined();
  });

  it('is signed with its secret', async () => {
    await send('webhook', 'key');
    const [{ body, headers }] = receiver.received as [(typeof receiver.received)[0]];
    const digest = createHmac('sha256', 'key').update(body).digest('hex');
    expect(headers['x-openstarry-signature']).toBe(`sha256=${digest}`);
  });
});

describe('an answer', () => {
  it.each([
    [500, true],
    [503, true],
    [408, true],
    [425, true],
    [429, true],
    [400, false],
    [401, false],
    [404, false],
    [410, false],
  ])('of %i is worth another attempt: %j', async (status, retryable) => {
    receiver.answers = [status];
    const failure = await failureOf(send('webhook'));
    expect(failure.retryable).toBe(retryable);
    expect(failure.message).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+ answered ${status}: no such thing$`));
  });

  it('never tells the path, which may be a secret', async () => {
    receiver.answers = [500];
    expect((await failureOf(send('slack'))).message).not.toContain('s3cret');
    await receiver.stop();
    const away = await failureOf(send('slack'));
    expect(away.message).toMatch(/cannot be reached \(ECONNREFUSED\)$/);
    expect([away.message.includes('s3cret'), away.retryable]).toEqual([false, true]);
  });

  it('that redirects is not followed', async () => {
    const other = await new Receiver().start();
    receiver.answers = [307];
    receiver.headers = { location: other.url };
    const failure = await failureOf(send('webhook', 'key'));
    expect([failure.retryable, other.received]).toEqual([false, []]);
    expect(failure.message).toContain('redirects (307)');
    await other.stop();
  });

  it.each([
    ['7', 7_000],
    ['99999', 300_000],
    ['soon', undefined],
  ])('that says Retry-After: %s', async (header, ms) => {
    receiver.answers = [429];
    receiver.headers = { 'retry-after': header };
    expect((await failureOf(send('webhook'))).retryAfterMs).toBe(ms);
  });

  it('that does not come is not waited for', async () => {
    receiver.hangs = true;
    const failure = await failureOf(post({ url: receiver.url, body: '{}', headers: {}, timeoutMs: 50 }, NEVER));
    expect([failure.message.replace(/^\S+ /, ''), failure.retryable]).toEqual(['did not answer within 50 ms', true]);
  });

  it('is not waited for when the daemon ends', async () => {
    receiver.hangs = true;
    const ending = new AbortController();
    const sending = failureOf(post({ url: receiver.url, body: '{}', headers: {} }, ending.signal));
    ending.abort();
    expect((await sending).retryable).toBe(true);
  });
});

describe('channelProblem', () => {
  it('tells of iMessage where there is none', () => {
    const channel = { name: 'phone', type: 'imessage', to: '+82' } as const;
    expect(channelProblem(channel, 'linux')).toContain('needs macOS; this is linux');
    expect(channelProblem(channel, 'darwin')).toBeUndefined();
    expect(channelProblem({ name: 'x', type: 'command', command: ['true'] }, 'linux')).toBeUndefined();
  });
});
