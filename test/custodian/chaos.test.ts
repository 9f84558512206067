import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CustodianError } from '../../src/host/custodian-client.ts';
import { createTestHost, isAlive, pidsOf } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

const AGENTS = ['a', 'b', 'c', 'd', 'e', 'f'];
const ROUNDS = 12;

/** Main processes by agent, as the kernel has them: the leaders among what carries a marker. */
function mains(): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const pid of pidsOf(host.env['BENCH_RUN']!)) {
    try {
      const marker = /OPENSTARRY_INCARNATION=([^/]+)\//.exec(readFileSync(`/proc/${pid}/environ`, 'latin1'))?.[1];
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const session = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]);
      if (marker && session === pid) found.set(marker, [...(found.get(marker) ?? []), pid]);
    } catch {
      // it ended meanwhile
    }
  }
  return found;
}

test(
  'a custodian killed again and again holds each agent at most once and loses none',
  { timeout: 60_000 },
  async () => {
    // A fixed sequence: what differs between runs is only the moment at which the kill falls.
    let seed = 42;
    const random = (limit: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % limit;
    };
    const act = async (agent: string) => {
      const { fence, live } = await host.client.request('custody', { agent });
      const what = random(4);
      if (!live) await host.spawn(agent, fence + 1, ['sh', '-c', 'sleep 1000 & wait']);
      else if (what === 0) process.kill(live.pid, 'SIGKILL');
      else if (what === 1) {
        const signal = 'SIGTERM';
        await host.client.request('stop', {
          agent,
          generation: live.generation,
          cause: 'operator',
          signal,
          grace_ms: 200,
        });
      } else if (what === 2) await host.spawn(agent, fence, ['sh', '-c', 'sleep 1000 & wait']);
    };
    const fences = new Map<string, number>();

    for (let round = 0; round < ROUNDS; round += 1) {
      const work = AGENTS.map(async (agent) => {
        while (host.client.isOpen) {
          try {
            await act(agent);
          } catch (error) {
            const code = error instanceof CustodianError ? error.code : (error as NodeJS.ErrnoException).code;
            if (code === 'CUSTODIAN_UNAVAILABLE') return;
            // a process may have ended between the answer and the kill; a generation may be used up
            if (code !== 'ESRCH' && code !== 'SUPERSEDED') throw error;
          }
        }
      });
      await pause(20 + random(120));
      await host.kill();
      await Promise.all(work);
      for (const [agent, pids] of mains()) expect(pids, `${agent} in round ${round}`).toHaveLength(1);
      await host.start();
      for (const agent of AGENTS) {
        const { fence } = await host.client.request('custody', { agent });
        expect(fence, `fence of ${agent} in round ${round}`).toBeGreaterThanOrEqual(fences.get(agent) ?? 0);
        fences.set(agent, fence);
      }
      // What the custodian holds and what runs are the same, once it has swept what ended unseen.
      await until(
        async () => {
          const { entries } = await host.client.request('list', {});
          const held = entries.flatMap(({ agent, live }) =>
            live && isAlive(live.pid) ? [`${agent}:${live.pid}`] : [],
          );
          const running = [...mains()].flatMap(([agent, pids]) => pids.map((pid) => `${agent}:${pid}`));
          return held.toSorted().join() === running.toSorted().join();
        },
        { what: `agreement in round ${round}` },
      );
    }
    await host.client.request('shutdown', { waves: [], grace_ms: 500 });
    expect(pidsOf(host.env['BENCH_RUN']!)).toEqual([host.pid]);
  },
);
