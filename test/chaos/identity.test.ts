import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { LiveRecord } from '../../src/custodian/journal/custody-state.ts';
import { decodeJournal, encodeLine } from '../../src/custodian/journal/journal-line.ts';
import { isAlive } from '../support/daemon.ts';
import { startTimeOf } from '../support/process.ts';
import { until } from '../support/wait.ts';
import { chaos } from './chaos-case.ts';
import { FOREIGN_NONCE, Trial } from './trial.ts';

/** Ends everything but the agents. */
async function killAll(trial: Trial): Promise<void> {
  const { pid, entries } = await trial.daemon.custody();
  const temporal = entries.find(({ agent }) => agent === '_temporal')?.live?.pid;
  process.kill(pid, 'SIGKILL');
  if (temporal !== undefined) process.kill(temporal, 'SIGKILL');
  await trial.daemon.signal('SIGKILL');
  await until(() => !isAlive(pid), { what: 'the end of the custodian' });
}

/** Writes other things into the journal's record of a live process, with a checksum that is right. */
function tamper(trial: Trial, id: string, change: Partial<LiveRecord>): void {
  const file = path.join(trial.daemon.stateDir, 'custody.journal');
  const { records } = decodeJournal(readFileSync(file, 'utf8'));
  const changed = records.map((record) => {
    if (record.kind === 'live' && record.agent === id) return { ...record, live: { ...record.live, ...change } };
    if (record.kind !== 'entry' || record.agent !== id || !record.entry.live) return record;
    return { ...record, entry: { ...record.entry, live: { ...record.entry.live, ...change } } };
  });
  writeFileSync(file, changed.map(encodeLine).join(''));
}

interface Change {
  what: string;
  change: (trial: Trial) => Promise<Partial<LiveRecord>>;
  /** Of the exit that is recorded. */
  reason: string;
}

const bystanderPid = async (trial: Trial): Promise<Partial<LiveRecord>> => ({ pid: (await trial.addBystander()).pid });
/** All else is true of a process that lives: whoever passes over the field takes that one for the agent. */
const bystanderBut = (field: Partial<LiveRecord>) => async (trial: Trial) => {
  const { pid } = await trial.addBystander();
  return { pid, start: startTimeOf(pid), ...field };
};
const CHANGES: Change[] = [
  { what: 'its pid was given to another process', change: bystanderPid, reason: 'exit code unknown' },
  {
    what: 'its pid was given to a process that carries another marker',
    change: async (trial) => {
      const { pid } = await trial.addBystander({ OPENSTARRY_INCARNATION: `${trial.id('one')}/1/${FOREIGN_NONCE}` });
      return { pid, start: startTimeOf(pid) };
    },
    reason: 'exit code unknown',
  },
  { what: 'the boot id changed', change: bystanderBut({ boot: 'another' }), reason: 'after a reboot' },
  { what: 'the pid namespace changed', change: bystanderBut({ ns: 'pid:[1]' }), reason: 'exit code unknown' },
  ...[0, 1, -1].map((pid) => ({
    what: `its record names pid ${pid}`,
    change: () => Promise.resolve({ pid }),
    reason: 'exit code unknown',
  })),
];

describe('while daemon, custodian and Temporal were dead', () => {
  for (const { what, change, reason } of CHANGES) {
    chaos(
      `${what}: nothing foreign is signalled, the agent is started once and not charged`,
      async (c) => {
        await using trial = await Trial.make(c);
        await trial.daemon.start();
        const id = trial.id('one');
        const { body } = await trial.daemon.call<AgentView>('POST', '/agents', {
          agent_id: id,
          command: ['sleep', '36085'],
        });
        await killAll(trial);
        process.kill(body.pid!, 'SIGKILL');
        await until(() => !isAlive(body.pid!), { what: 'the end of the agent' });
        tamper(trial, id, await change(trial));
        await trial.daemon.start();
        const now = await trial.daemon.untilAgent(
          id,
          (a) => a.generation === 2 && a.state === 'running',
          'running',
          60_000,
        );
        c.check(now.restarts === 0, `it was charged ${now.restarts} restarts`);
        c.check(now.last_exit?.reason.includes(reason) ?? false, `the exit is told as: ${now.last_exit?.reason}`);
        await trial.compare(what);
        await trial.finish();
      },
      { isLong: change !== bystanderPid },
    );
  }
});

const LOSSES: [string, (file: string, id: string) => void][] = [
  ['was lost', (file) => rmSync(file)],
  [
    'was damaged where it tells of an agent',
    (file, id) => {
      const lines = readFileSync(file, 'utf8').split('\n');
      const damaged = lines.map((line) => (line.includes(`"agent":"${id}"`) ? line.replace('"pid":', '"pod":') : line));
      writeFileSync(file, damaged.join('\n'));
    },
  ],
];

describe('while everything but the agents was dead', () => {
  for (const [what, lose] of LOSSES) {
    chaos(`the journal ${what}: the same processes are adopted, none is started beside them`, async (c) => {
      await using trial = await Trial.make(c, { agents: 4 });
      await trial.daemon.start();
      const before = await trial.untilFleetRuns(4);
      await killAll(trial);
      lose(path.join(trial.daemon.stateDir, 'custody.journal'), trial.id(0));
      await trial.daemon.start();
      const after = await trial.untilFleetRuns(4);
      for (const [id, pid] of before) c.check(after.get(id) === pid, `${id}: pid ${pid}, then ${after.get(id)}`);
      for (const { agent_id: id, generation } of await trial.fleet())
        c.check(generation === 1, `${id} has generation ${generation}`);
      const { status } = await trial.daemon.call('POST', `/agents/${trial.id(1)}/stop`);
      c.check(status === 200 && !isAlive(before.get(trial.id(1))!), `the stop answered ${status}`);
      await trial.compare('after the journal');
      await trial.finish();
    });
  }
});

describe('while the custodian was dead and the daemon lived', () => {
  chaos(
    "an agent's record names the daemon: the daemon is not signalled, the agent is started once and not charged",
    async (c) => {
      await using trial = await Trial.make(c);
      await trial.daemon.start();
      const id = trial.id('one');
      const { body } = await trial.daemon.call<AgentView>('POST', '/agents', {
        agent_id: id,
        command: ['sleep', '36085'],
      });
      const daemon = trial.daemon.process!.pid!;
      const { pid } = await trial.daemon.custody();
      process.kill(daemon, 'SIGSTOP'); // it would start another custodian at once
      process.kill(pid, 'SIGKILL');
      process.kill(body.pid!, 'SIGKILL');
      await until(() => !isAlive(pid) && !isAlive(body.pid!), { what: 'the end of custodian and agent' });
      tamper(trial, id, { pid: daemon, start: startTimeOf(daemon) });
      process.kill(daemon, 'SIGCONT');
      const now = await trial.daemon.untilAgent(
        id,
        (a) => a.generation === 2 && a.state === 'running',
        'running',
        60_000,
      );
      c.check(now.restarts === 0, `it was charged ${now.restarts} restarts`);
      c.check(isAlive(daemon), 'the daemon was killed');
      await trial.compare('after the custodian');
      await trial.finish();
    },
  );
});

const isRoot = process.getuid?.() === 0;
const has = (name: string): boolean => spawnSync(name, ['--version']).status === 0;
/** Who may trace, or look at, everything reads every environment: without that, root is as blind as others. */
const BLINDFOLD = isRoot ? ['setpriv', '--bounding-set', '-sys_ptrace,-perfmon,-sys_admin'] : [];
const noBlindfold = isRoot && !has('setpriv') ? 'root reads every environment, and there is no setpriv' : undefined;
const isReadable = (pid: number): boolean => {
  const [program, ...args] = [...BLINDFOLD, 'cat', `/proc/${pid}/environ`];
  return spawnSync(program, args).status === 0;
};
const UNDUMPABLE = 'import ctypes,time; ctypes.CDLL(None).prctl(4,0,0,0,0); time.sleep(36086)';

describe('an agent that cannot be recognised by its environment', () => {
  for (const [what, command, skip] of [
    ['cleared its environment', ['sh', '-c', 'exec env -i sleep 36087'], undefined],
    [
      'changed its user',
      ['setpriv', '--reuid', '65534', '--clear-groups', 'sleep', '36088'],
      isRoot && has('setpriv') ? undefined : 'it needs root and setpriv',
    ],
    ['made itself undumpable', ['python3', '-c', UNDUMPABLE], has('python3') ? noBlindfold : 'no python3'],
  ] as const) {
    const isCleared = what.startsWith('cleared');
    chaos(
      `${what}: it is adopted, followed and stopped`,
      async (c) => {
        await using trial = await Trial.make(c);
        if (!isCleared) trial.daemon.under = BLINDFOLD;
        await trial.daemon.start();
        const id = trial.id('shy');
        trial.hides(id);
        const { body } = await trial.daemon.call<AgentView>('POST', '/agents', { agent_id: id, command });
        if (!isCleared) await until(() => !isReadable(body.pid!), { what: 'an environment that cannot be read' });
        c.rounds = c.size(2, 5);
        for (let n = 0; n < c.rounds; n += 1) {
          await killAll(trial);
          await trial.daemon.start();
          const now = await trial.daemon.untilAgent(id, (a) => a.state === 'running', 'running', 60_000);
          c.check(now.pid === body.pid && now.generation === 1, `pid ${now.pid}, generation ${now.generation}`);
        }
        const { status } = await trial.daemon.call('POST', `/agents/${id}/stop`);
        c.check(status === 200 && !isAlive(body.pid!), `the stop answered ${status}`);
        await trial.compare('after the stop');
        await trial.finish();
      },
      { isLong: !isCleared, skip, timeoutMs: 180_000 },
    );
  }
});
