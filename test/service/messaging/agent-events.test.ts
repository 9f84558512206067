import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Decision, Transition } from '../../../src/contract/decision.ts';
import { until } from '../../support/wait.ts';
import { ADMIN, messagingFixture, type MessagingFixture } from './messaging-fixture.ts';

let fixture: MessagingFixture;
let sequence: number;
beforeEach(async () => {
  fixture = await messagingFixture();
  sequence = 0;
});
afterEach(() => fixture.end());

interface Said {
  agent_id: string;
  state: string;
  reason: string;
  generation: number;
}

async function said(): Promise<Said[]> {
  const options = { after: 0, max: 1000, waitMs: 0 };
  const { events } = await fixture.messaging.topics.events(ADMIN, 'agent.*.state', options);
  return events.map(({ payload }) => payload as unknown as Said);
}

const untilSaid = (states: string[]): Promise<Said[]> =>
  until(
    async () => {
      const all = await said();
      return all.length >= states.length ? all : undefined;
    },
    { what: states.join(', ') },
  ).then((all) => {
    expect(all.map(({ state }) => state)).toEqual(states);
    return all;
  });

/** A decision of the workflow of `a.b`, with its transition. */
async function decides(
  kind: 'admitting' | 'live' | 'disabled',
  reason: string,
  more: Partial<Decision> = {},
): Promise<void> {
  sequence += 1;
  const transition: Transition = { sequence, at_ms: Date.now(), state: kind, generation: 1, reason };
  await fixture.agent('a.b', { phase: { kind }, reason, transitions: [transition], ...more });
}

const runs = (pid: number, ready = true) =>
  fixture.roster.recordProcess('a.b', {
    generation: 1,
    pid,
    started_at: new Date().toISOString(),
    ready,
    log_path: null,
    last_exit: null,
  });

describe('AgentEvents', () => {
  it('say what is decided of an agent, and whether its process runs', async () => {
    await fixture.messaging.begin();
    await decides('live', 'created');
    await untilSaid(['starting']);
    await runs(42);
    await untilSaid(['starting', 'running']);
    await runs(42, false);
    await untilSaid(['starting', 'running', 'unready']);
    await decides('disabled', 'gave up: generation 1 exited with code 7');
    const all = await untilSaid(['starting', 'running', 'unready', 'disabled']);
    expect(all[3]).toMatchObject({
      agent_id: 'a.b',
      reason: 'gave up: generation 1 exited with code 7',
      generation: 1,
    });
    const { events } = await fixture.messaging.topics.events(ADMIN, 'agent.a_b.state', { after: 0, max: 1, waitMs: 0 });
    expect(events[0]).toMatchObject({ from: '_daemon', key: 'run-1/1' });
  });

  it('say once what was decided while no daemon lived', async () => {
    await fixture.messaging.begin();
    await decides('live', 'created');
    await runs(42);
    await untilSaid(['starting', 'running']);
    await fixture.close();
    await fixture.reopen();
    await decides('disabled', 'gave up');
    await fixture.messaging.begin();
    await untilSaid(['starting', 'running', 'disabled']);
    await fixture.close();
    await fixture.reopen();
    await fixture.messaging.begin();
    await decides('live', 'started by an operator');
    // Its process is still there.
    await untilSaid(['starting', 'running', 'disabled', 'starting', 'running']);
  });

  it('say again what failed to be said', async () => {
    const { publish } = fixture.bus;
    let tries = 0;
    fixture.bus.publish = (event) => {
      tries += 1;
      return tries === 1 ? Promise.reject(new Error('no bus')) : publish(event);
    };
    await fixture.messaging.begin();
    await decides('live', 'created');
    await decides('disabled', 'gave up');
    await untilSaid(['starting', 'disabled']);
  });
});
