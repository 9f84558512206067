import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mailboxOf } from '../../../src/domain/messages/queue-name.ts';
import { asAgent, messagingFixture, text, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture();
  await fixture.agent('a');
});
afterEach(() => fixture.end());

describe('Receivers', () => {
  it('answers a poll when the message comes', async () => {
    const { messages } = fixture.messaging;
    const poll = messages.receive(asAgent('a'), 'a', { max: 10, waitMs: 10_000 });
    await messages.send(asAgent('a'), mailboxOf('a'), [text('hello')]);
    expect((await poll).map(({ payload }) => payload)).toEqual(['hello']);
  });
});
