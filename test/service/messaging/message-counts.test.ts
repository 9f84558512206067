import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Registry } from 'prom-client';
import { measureMessages } from '../../../src/api/message-metrics.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, asAgent, messagingFixture, ofAgent, text, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
beforeEach(async () => {
  fixture = await messagingFixture({ defaults: { maxAttempts: 1 } });
  await fixture.agent('a');
  await fixture.messaging.queues.put(ADMIN, 'work', {});
  await fixture.messaging.begin();
});
afterEach(() => fixture.end());

describe('MessageCounts', () => {
  it('count what was sent, acknowledged and given up', async () => {
    const { messages, counts } = fixture.messaging;
    const registry = new Registry();
    measureMessages(registry, counts);
    await messages.send(asAgent('a'), '@a', [text('one'), text('two'), text('three')], true);
    await messages.send(asAgent('a'), 'work', [text('four')]);
    const [one, two] = await messages.receive(asAgent('a'), 'a', { max: 2, waitMs: 0 });
    await messages.ack(asAgent('a'), ofAgent('a'), one!);
    await messages.nack(asAgent('a'), ofAgent('a'), two!, {});
    await until(() => counts.died.attempts === 1, { what: 'the death' });
    const seen = await registry.metrics();
    expect(seen).toContain('openstarry_messages_sent_total{to="mailbox"} 3');
    expect(seen).toContain('openstarry_messages_sent_total{to="work"} 1');
    expect(seen).toContain('openstarry_messages_acked_total 1');
    expect(seen).toContain('openstarry_messages_dead_total{cause="attempts"} 1');
    // `three`, and the notice of the death of `two`.
    expect(seen).toContain('openstarry_queue_messages{queue="@a",state="ready"} 2');
    expect(seen).toContain('openstarry_queue_messages{queue="@a",state="dead"} 1');
    expect(seen).toContain('openstarry_queue_messages{queue="work",state="ready"} 1');
  });

  it('tell what was last known of a bus that does not answer', async () => {
    const { counts } = fixture.messaging;
    await fixture.messaging.messages.send(ADMIN, 'work', [text('x')]);
    expect(await counts.depths()).toMatchObject([{ name: 'work', ready: 1 }]);
    fixture.bus.queues = () => new Promise(() => undefined);
    expect(await counts.depths()).toMatchObject([{ name: 'work', ready: 1 }]);
    fixture.bus.queues = () => Promise.reject(new Error('no bus'));
    expect(await counts.depths()).toMatchObject([{ name: 'work', ready: 1 }]);
  });
});
