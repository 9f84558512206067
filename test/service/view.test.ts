import { expect, test } from 'vitest';
import type { ExitRecord } from '../../src/domain/custody.ts';
import { viewOf } from '../../src/service/view.ts';
import { rowOf } from './rows.ts';

const exit = (generation: number): ExitRecord => ({
  generation,
  code: 7,
  signal: null,
  cause: 'self',
  at: '2026-01-01T00:00:00.000Z',
  ran_ms: 2100,
});

test('viewOf shows pid, start and health of the generation that was decided', () => {
  const live = { generation: 2, pid: 42, started_at: '2026-01-01T00:00:00.000Z', ready: true };
  expect(viewOf(rowOf({ generation: 2 }, live), false)).toMatchObject({
    state: 'running',
    pid: 42,
    health: 'healthy',
    started_at: live.started_at,
  });
  expect(viewOf(rowOf({ generation: 2 }, { ...live, ready: false }), false)).toMatchObject({
    state: 'unready',
    health: 'unhealthy',
  });
});

test('viewOf shows no process of an earlier generation', () => {
  expect(viewOf(rowOf({ generation: 3 }, { generation: 2, pid: 42, ready: true }), false)).toMatchObject({
    state: 'starting',
    pid: null,
    health: null,
    started_at: null,
  });
});

test('viewOf shows the pid of a process that is being stopped', () => {
  const row = rowOf({ generation: 2, phase: { kind: 'stopping' } }, { generation: 2, pid: 42, ready: true });
  expect(viewOf(row, true)).toMatchObject({ state: 'stopping', pid: 42, stale: true });
});

test('viewOf shows what cannot be killed as the reason for as long as its stop lasts', () => {
  const facts = { generation: 2, pid: 42, stuck: { pid: 43, kernel_state: 'D' } };
  const stopping = rowOf({ generation: 2, phase: { kind: 'stopping' }, reason: 'stopped by an operator' }, facts);
  expect(viewOf(stopping, false).reason).toBe('pid 43 cannot be killed: it survives SIGKILL in kernel state D');
  expect(viewOf(rowOf({ generation: 2, reason: 'created' }, facts), false).reason).toBe('created');
});

test('viewOf takes the last exit from the host with its log, from the workflow if the host has none or an older one', () => {
  const seen = { last_exit: { ...exit(2), reason: 'seen', log_tail: 'boom' } };
  const snapshot = rowOf({}).decision.snapshot;
  expect(viewOf(rowOf({}, seen), false).last_exit).toEqual({
    code: 7,
    signal: null,
    reason: 'seen',
    at: exit(2).at,
    log_tail: 'boom',
  });
  for (const process of [null, seen]) {
    const row = rowOf({ snapshot: { ...snapshot, lastExit: exit(3) } }, process);
    expect(viewOf(row, false).last_exit).toMatchObject({
      reason: 'generation 3 exited with code 7 after 2.1 s',
      log_tail: '',
    });
  }
  expect(viewOf(rowOf({}), false).last_exit).toBeNull();
});

test('viewOf tells where an agent comes from', () => {
  expect(viewOf(rowOf({}), false).origin).toBe('temporal');
  expect(viewOf(rowOf({ input: { agent_id: 'a', origin: 'api', labels: { x: 'y' } } }), false)).toMatchObject({
    origin: 'api',
    labels: { x: 'y' },
  });
});
