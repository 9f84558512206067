import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AgentEntry, JournalRecord, LiveRecord } from '../../src/custodian/journal/custody-state.ts';
import { evolve } from '../../src/custodian/journal/custody-state.ts';
import { decodeJournal, encodeLine } from '../../src/custodian/journal/journal-line.ts';
import { createTestHost, fixture, isAlive, pidsOf, startTimeOf } from '../support/custodian.ts';
import type { TestHost } from '../support/custodian.ts';
import { until } from '../support/wait.ts';

let host: TestHost;
beforeEach(async () => {
  host = await createTestHost();
});
afterEach(() => host.cleanUp());

const journalPath = () => join(host.stateDir, 'custody.journal');
const liveOf = (agent: string): LiveRecord => {
  let entry: AgentEntry | undefined;
  for (const record of decodeJournal(readFileSync(journalPath(), 'utf8')).records) {
    if (record.kind !== 'opened' && record.agent === agent) entry = evolve(entry, record);
  }
  return entry!.live!;
};
/** Writes a journal by hand, with valid checksums. */
const write = (...records: JournalRecord[]) => writeFileSync(journalPath(), records.map(encodeLine).join(''));

describe('a custodian that follows a killed one', () => {
  test('adopts the same processes and sees them end', async () => {
    const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
    const first = host.pid;
    await host.kill();
    await host.start();
    expect(host.pid).not.toBe(first);
    expect((await host.entry('a'))?.live).toMatchObject({ generation: 1, pid, parent: false });
    expect((await host.spawn('a', 1, ['sleep', '1000'])).adopted).toBe(true);
    await expect(host.spawn('a', 2, ['sleep', '1'])).rejects.toMatchObject({ code: 'SUPERSEDED' });
    process.kill(pid, 'SIGKILL');
    const { exit } = await host.exitOf('a');
    expect(exit).toMatchObject({ generation: 1, code: null, signal: null, cause: 'self' });
  });

  test('stops what it adopted, with the whole tree', async () => {
    await host.spawn('a', 1, [fixture('nested.sh')]);
    const pids = await until(
      () => (host.log('a', 1).split('\n').length > 3 ? host.log('a', 1).trim().split('\n').map(Number) : undefined),
      {
        what: 'three pids',
      },
    );
    await host.kill();
    await host.start();
    await host.client.request('stop', {
      agent: 'a',
      generation: 1,
      cause: 'operator',
      signal: 'SIGTERM',
      grace_ms: 2000,
    });
    expect((await host.exitOf('a')).exit.cause).toBe('operator');
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test('finishes a stop that was under way, without a second signal', async () => {
    const { pid } = await host.spawn('a', 1, [fixture('ignore-term.sh')]);
    await host.spawn('b', 1, [fixture('count-term.py')]);
    for (const agent of ['a', 'b']) await until(() => host.log(agent, 1).includes('ready'), { what: 'a ready agent' });
    for (const agent of ['a', 'b']) {
      await host.client.request('stop', { agent, generation: 1, cause: 'operator', signal: 'SIGTERM', grace_ms: 1500 });
    }
    await host.kill();
    await host.start();
    expect((await host.entry('a'))?.live?.stopping?.cause).toBe('operator');
    await until(() => !isAlive(pid), { what: 'the end of the process' });
    const entry = await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
    expect(entry).toMatchObject({ generation: 1, cause: 'operator' });
    expect(host.log('b', 1).match(/term/g)).toHaveLength(1);
  });

  test('records an end that nobody saw as unknown', async () => {
    const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
    await host.kill();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), { what: 'the end of the process' });
    await host.start();
    const exit = await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
    expect(exit).toMatchObject({ generation: 1, code: null, signal: null, cause: 'custodian_lost' });
    expect((await host.spawn('a', 2, ['sleep', '1000'])).adopted).toBe(false);
  });

  test('counts the run of a process that was being stopped to its unseen end, not since the machine started', async () => {
    const { pid } = await host.spawn('a', 1, [fixture('count-term.py')]);
    await until(() => host.log('a', 1).includes('ready'), { what: 'a ready agent' });
    const stop = { cause: 'unhealthy', signal: 'SIGTERM', grace_ms: 60_000 } as const;
    await host.client.request('stop', { agent: 'a', generation: 1, ...stop });
    await host.kill();
    process.kill(pid, 'SIGKILL');
    // Reaped, too: a zombie would still tell when it began.
    await until(() => !existsSync(`/proc/${pid}`), { what: 'the end of the process' });
    await host.start();
    const exit = await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
    expect(exit).toMatchObject({ generation: 1, cause: 'unhealthy' });
    expect(exit.ran_ms).toBeLessThan(60_000);
  });

  test('kills what is left of a tree that has cleared its environment, but writes to the log', async () => {
    const { pid } = await host.spawn('a', 1, ['sh', '-c', 'env -i sleep 1000 & echo $!; wait']);
    const child = await until(() => Number(host.log('a', 1)) || undefined, { what: 'the pid of the child' });
    await until(() => readFileSync(`/proc/${child}/environ`, 'utf8') === '', { what: 'the cleared environment' });
    host.owns(child);
    await host.kill();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), { what: 'the end of the process' });
    await host.start();
    await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
    expect(isAlive(child)).toBe(false);
  });

  test('kills what is left of a tree of which the main process ended unseen', async () => {
    const { pid } = await host.spawn('a', 1, [fixture('double-fork.py'), 'stay']);
    const child = await until(() => Number(host.log('a', 1)) || undefined, { what: 'the pid of the child' });
    await host.kill();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), { what: 'the end of the process' });
    await host.start();
    await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
    expect(isAlive(child)).toBe(false);
  });

  test('still knows a descendant that can be found by nothing but its pid', async () => {
    await host.spawn('a', 1, [fixture('double-fork.py'), 'stay', 'clear-env']);
    const child = await until(() => Number(host.log('a', 1)) || undefined, { what: 'the pid of the child' });
    host.owns(child);
    await until(() => readFileSync(`/proc/${child}/environ`, 'utf8') === '', { what: 'the cleared environment' });
    await until(() => liveOf('a').kin?.some(([pid]) => pid === child), { what: 'the line about it' });
    await host.kill();
    await host.start();
    await host.client.request('stop', {
      agent: 'a',
      generation: 1,
      cause: 'operator',
      signal: 'SIGTERM',
      grace_ms: 2000,
    });
    await host.exitOf('a');
    expect(isAlive(child)).toBe(false);
  });

  test('adopts a process that has cleared its environment', async () => {
    const { pid } = await host.spawn('a', 1, ['env', '-i', 'sleep', '1000']);
    host.owns(pid);
    await until(() => readFileSync(`/proc/${pid}/environ`, 'utf8') === '', { what: 'the cleared environment' });
    await host.kill();
    await host.start();
    expect((await host.entry('a'))?.live?.pid).toBe(pid);
  });

  test('keeps orders, fences and last exits', async () => {
    await host.spawn('a', 4, ['sh', '-c', 'exit 2']);
    await host.exitOf('a');
    await host.client.request('order', { agent: 'a', verb: 'stop' });
    await host.client.request('order', { agent: 'b', verb: 'delete' });
    await host.client.request('order_done', { agent: 'a', at: 'of an earlier order' });
    await host.client.request('order_done', { agent: 'b' });
    await host.kill();
    await host.start();
    expect(await host.client.request('orders', {})).toMatchObject({ orders: [{ agent: 'a', verb: 'stop' }] });
    expect(await host.client.request('custody', { agent: 'a' })).toMatchObject({ fence: 4, last_exit: { code: 2 } });
  });
});

describe('a start that was cut off', () => {
  const spawnAndDie = async (point: string) => {
    await host.kill();
    await host.start({ OPENSTARRY_FAILPOINT: point });
    const dead = host.pid;
    const spawning = host.spawn('a', 1, ['sh', '-c', 'echo started; exec sleep 1000']);
    await expect(spawning).rejects.toMatchObject({ code: 'CUSTODIAN_UNAVAILABLE' });
    await until(() => !isAlive(dead), { what: 'the end of the custodian' });
    await host.start();
  };
  const agents = () => pidsOf(host.env['BENCH_RUN']!).filter((pid) => pid !== host.pid);

  test('after its intent never happened and stays fenced', async () => {
    await spawnAndDie('custodian.after-intent');
    expect(agents()).toEqual([]);
    expect(await host.client.request('custody', { agent: 'a' })).toEqual({ fence: 1 });
    await expect(host.spawn('a', 1, ['sleep', '1000'])).rejects.toMatchObject({
      code: 'SUPERSEDED',
      custody: { fence: 1 },
    });
    expect((await host.spawn('a', 2, ['sleep', '1000'])).adopted).toBe(false);
  });

  test.each(['custodian.after-fork', 'custodian.after-record'])('at %s is found and adopted', async (point) => {
    await spawnAndDie(point);
    const { live } = await host.client.request('custody', { agent: 'a' });
    expect(agents()).toEqual([live?.pid]);
    expect(await host.spawn('a', 1, ['sleep', '1000'])).toMatchObject({ adopted: true, pid: live?.pid });
  });

  test('is found by its log if it has cleared its environment', async () => {
    await host.kill();
    await host.start({ OPENSTARRY_FAILPOINT: 'custodian.after-fork' });
    const dead = host.pid;
    await expect(host.spawn('a', 1, ['env', '-i', 'sleep', '1000'])).rejects.toThrow();
    await until(() => !isAlive(dead), { what: 'the end of the custodian' });
    await host.start();
    const { live } = await host.client.request('custody', { agent: 'a' });
    expect(live?.generation).toBe(1);
    host.owns(live!.pid);
    expect(readFileSync(`/proc/${live!.pid}/comm`, 'utf8')).toBe('sleep\n');
  });
});

describe('a record that does not hold', () => {
  /** A process of somebody else, in a session of its own like an agent. */
  const bystander = () => {
    const child = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    host.owns(child.pid!);
    return child.pid!;
  };
  const restartWith = async (change: (live: LiveRecord) => LiveRecord) => {
    const live = liveOf('a');
    await host.kill();
    write({ kind: 'live', agent: 'a', live: change(live) });
    await host.start();
    return until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
  };

  test('because its pid was given to another process leaves that process alone', async () => {
    const { pid } = await host.spawn('a', 1, ['sleep', '1000']);
    const other = bystander();
    process.kill(pid, 'SIGKILL');
    await host.exitOf('a');
    await host.spawn('a', 2, ['sleep', '1000']);
    const exit = await restartWith((live) => ({ ...live, pid: other, start: startTimeOf(other) - 1 }));
    expect(exit).toMatchObject({ generation: 2, cause: 'custodian_lost' });
    expect(isAlive(other)).toBe(true);
  });

  test('because its pid was given to another process, which has ended too, leaves what that one has left alone', async () => {
    const leader = spawn('sh', ['-c', 'sleep 1000 >/dev/null & echo $!'], {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    leader.stdout.setEncoding('utf8');
    const [said] = (await once(leader.stdout, 'data')) as [string];
    const other = Number(said);
    host.owns(other);
    await once(leader, 'close');
    const agent = await host.spawn('a', 1, ['sleep', '1000']);
    const exit = await restartWith((live) => ({ ...live, pid: leader.pid!, start: startTimeOf(other) - 1 }));
    expect(exit).toMatchObject({ generation: 1, cause: 'custodian_lost' });
    expect(isAlive(other)).toBe(true);
    expect(isAlive(agent.pid)).toBe(false);
  });

  test('because another marker stands in the environment leaves that process alone', async () => {
    const child = spawn('sleep', ['1000'], {
      detached: true,
      stdio: 'ignore',
      env: { OPENSTARRY_INCARNATION: 'b/1/00' },
    });
    host.owns(child.pid!);
    await host.spawn('a', 1, ['sleep', '1000']);
    await restartWith((live) => ({ ...live, pid: child.pid!, start: startTimeOf(child.pid!) }));
    expect(isAlive(child.pid!)).toBe(true);
  });

  test.each([0, 1, -1, 1.5, process.pid, '7'])('because its pid is %s signals nothing', async (pid) => {
    const agent = await host.spawn('a', 1, ['sleep', '1000']);
    const other = bystander();
    const exit = await restartWith((live) => ({
      ...live,
      pid: pid as number,
      start: pid === process.pid ? 5 : live.start,
    }));
    expect(exit.cause).toBe('custodian_lost');
    expect(isAlive(other)).toBe(true);
    // The process that was really started is known by the marker of its spawn; it must not run beside a new one.
    expect(isAlive(agent.pid)).toBe(false);
    expect((await host.spawn('a', 2, ['sleep', '1000'])).adopted).toBe(false);
  });

  test('because the machine was started again is an end by reboot', async () => {
    await host.spawn('a', 1, ['sleep', '1000']);
    const exit = await restartWith((live) => ({ ...live, boot: 'another' }));
    expect(exit).toMatchObject({ generation: 1, code: null, signal: null, cause: 'reboot', ran_ms: 0 });
  });
});

describe('a journal', () => {
  test('with a torn end loses only that', async () => {
    const { pid } = await host.spawn('a', 3, ['sleep', '1000']);
    await host.kill();
    appendFileSync(journalPath(), encodeLine({ kind: 'forget', agent: 'a', at: '2026' }).slice(0, 25));
    await host.start();
    expect((await host.entry('a'))?.custody).toMatchObject({ fence: 3, live: { pid } });
    await host.kill();
    await host.start();
    expect((await host.entry('a'))?.custody).toMatchObject({ fence: 3, live: { pid } });
  });

  test('with a damaged middle keeps what is readable and the fences of the rest', async () => {
    await host.spawn('a', 3, ['true']);
    await host.exitOf('a');
    const { pid } = await host.spawn('b', 1, ['sleep', '1000']);
    await host.kill();
    const lines = readFileSync(journalPath(), 'utf8').split('\n');
    const damaged = lines.map((line) => (line.includes('"agent":"a"') ? line.replace('"at":"2', '"at":"9') : line));
    writeFileSync(journalPath(), damaged.join('\n'));
    await host.start();
    expect((await host.entry('a'))?.custody).toEqual({ fence: 3 });
    expect((await host.entry('b'))?.custody.live?.pid).toBe(pid);
    expect(readFileSync(join(host.stateDir, 'custodian.log'), 'utf8')).toMatch(/journal is damaged.*"damaged_lines":3/);
  });
});

describe.runIf(process.platform === 'linux')('a process of which the journal no longer tells', () => {
  /** Changes one byte in each line about the agent; compacted, as it is after every start. */
  const damage = async (agent: string) => {
    await host.kill();
    await host.start();
    await host.kill();
    const lines = readFileSync(journalPath(), 'utf8').split('\n');
    const damaged = lines.map((line) =>
      line.includes(`"agent":"${agent}"`) ? line.replace('"at":"2', '"at":"9') : line,
    );
    expect(damaged).not.toEqual(lines);
    writeFileSync(journalPath(), damaged.join('\n'));
  };
  const lose = async () => {
    await host.kill();
    rmSync(journalPath());
  };
  const liveNow = async (agent: string) => (await host.entry(agent))?.live;
  /** The pid that is left of an agent that has ended, in kill mode `process`. */
  const leftBehindBy = async (script: string): Promise<number> => {
    await host.spawn('a', 2, ['sh', '-c', script], { kill_mode: 'process' });
    await host.exitOf('a');
    return Number(host.log('a', 2));
  };
  const custodianLog = () => readFileSync(join(host.stateDir, 'custodian.log'), 'utf8');

  test.each(['first', 'last'])('is adopted if its line, the %s, is damaged', async (which) => {
    const agents = which === 'first' ? ['a', 'b'] : ['b', 'a'];
    for (const agent of agents) await host.spawn(agent, 3, ['sleep', '1000']);
    const pid = (await liveNow('a'))!.pid;
    await damage('a');
    await host.start();
    expect(await liveNow('a')).toMatchObject({ generation: 3, pid, parent: false });
    expect(await host.spawn('a', 3, ['sleep', '1000'])).toMatchObject({ adopted: true, pid });
    await expect(host.spawn('a', 4, ['sleep', '1000'])).rejects.toMatchObject({ code: 'SUPERSEDED' });
    expect(custodianLog()).toMatch(/journal does not tell.*"agent":"a","generation":3/);
    await host.kill();
    await host.start();
    expect(await liveNow('a')).toMatchObject({ generation: 3, pid });
  });

  test('is adopted if the whole journal is lost, and stopped with its tree', async () => {
    const { pid } = await host.spawn('A.x', 2, [fixture('nested.sh')]);
    const other = await host.spawn('_b', 1, ['sleep', '1000'], { kill_mode: 'process' });
    const pids = await until(
      () => {
        const lines = host.log('=a.x', 2).trim().split('\n').map(Number);
        return lines.length > 2 ? lines : undefined;
      },
      { what: 'three pids' },
    );
    await lose();
    await host.start();
    expect(await liveNow('A.x')).toMatchObject({ generation: 2, pid });
    expect(await liveNow('_b')).toMatchObject({ generation: 1, pid: other.pid });
    expect(liveOf('_b').kill_mode).toBe('process');
    const stop = { cause: 'operator', signal: 'SIGTERM', grace_ms: 2000 } as const;
    await host.client.request('stop', { agent: 'A.x', generation: 2, ...stop });
    expect((await host.exitOf('A.x')).exit).toMatchObject({ generation: 2, cause: 'operator' });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test.each([
    ['its environment', ['env', '-i', 'sleep', '1000']],
    ['its log', ['sh', '-c', 'exec sleep 1000 > /dev/null 2>&1']],
  ])('is adopted though it has left %s', async (_what, command) => {
    const { pid } = await host.spawn('a', 2, command);
    host.owns(pid);
    await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n', { what: 'the last exec' });
    await lose();
    await host.start();
    expect(await liveNow('a')).toMatchObject({ generation: 2, pid });
  });

  test('takes the place of what an older line tells', async () => {
    await host.spawn('a', 1, ['sleep', '1000']);
    const old = liveOf('a');
    process.kill(old.pid, 'SIGKILL');
    await host.exitOf('a');
    const { pid } = await host.spawn('a', 2, ['sleep', '1000']);
    await host.kill();
    writeFileSync(journalPath(), `${encodeLine({ kind: 'live', agent: 'a', live: old })}damaged\n`.repeat(2));
    await host.start();
    expect(await liveNow('a')).toMatchObject({ generation: 2, pid });
  });

  test('is killed as the rest of a tree if its main process has ended', async () => {
    const { pid } = await host.spawn('a', 2, ['sh', '-c', 'sleep 1000 & echo $!; wait']);
    const child = await until(() => Number(host.log('a', 2)) || undefined, { what: 'the pid of the child' });
    await lose();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid), { what: 'the end of the process' });
    await host.start();
    const exit = await until(async () => (await host.entry('a'))?.custody.last_exit, { what: 'the exit record' });
    expect(exit).toMatchObject({ generation: 2, cause: 'custodian_lost' });
    expect(isAlive(child)).toBe(false);
  });

  test('is not taken for one that has ended and left something behind', async () => {
    const left = await leftBehindBy('sleep 1000 > /dev/null 2>&1 & echo $!');
    await lose();
    await host.start();
    expect(await host.entry('a')).toBeUndefined();
    expect(isAlive(left)).toBe(true);
  });

  test('is not taken for one that was deleted and left something behind', async () => {
    const left = await leftBehindBy('setsid sleep 1000 > /dev/null 2>&1 & echo $!; sleep 0.1');
    host.owns(left);
    await host.client.request('forget', { agent: 'a' });
    await host.kill();
    appendFileSync(journalPath(), 'torn');
    await host.start();
    expect((await host.entry('a'))?.live).toBeUndefined();
    expect(isAlive(left)).toBe(true);
  });

  test('is left alone if it is not of this state directory', async () => {
    const { pid } = await host.spawn('a', 2, ['sleep', '1000']);
    const foreign = (env: NodeJS.ProcessEnv, log?: string) => {
      const out = log === undefined ? 'ignore' : openSync(log, 'a');
      const child = spawn('sleep', ['1000'], { detached: true, stdio: ['ignore', out, out], env });
      if (typeof out === 'number') closeSync(out);
      host.owns(child.pid!);
      return child.pid!;
    };
    const elsewhere = await createTestHost();
    try {
      const theirs = await elsewhere.spawn('c', 1, ['sleep', '1000']);
      const markers = ['b/1/0123456789abcdef', 'b/1/', 'b', '../b/1/0123456789abcdef', 'a/3/0123456789abcdef'];
      const others = markers.map((OPENSTARRY_INCARNATION) => foreign({ OPENSTARRY_INCARNATION }));
      // Another's marker says whose it is, whatever it writes to.
      const logger = foreign({ OPENSTARRY_INCARNATION: 'b/1/0' }, join(host.stateDir, 'logs', 'a', '2.log'));
      await lose();
      await host.start();
      const { entries } = await host.client.request('list', {});
      expect(entries.map(({ agent, live }) => [agent, live?.generation, live?.pid])).toEqual([['a', 2, pid]]);
      for (const one of [...others, logger, theirs.pid]) expect(isAlive(one)).toBe(true);
    } finally {
      await elsewhere.cleanUp();
    }
  });
});
