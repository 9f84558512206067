import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLogger } from '../../../src/custodian/logger.ts';
import { isAlive } from '../../../src/custodian/tree/process-table.ts';
import type { ProcessStat, ProcessTable } from '../../../src/custodian/tree/process-table.ts';
import { createTree } from '../../../src/custodian/tree/tree.ts';

interface FakeProcess extends ProcessStat {
  marker: string;
  /** The agent it really belongs to, which the tree has to find out. */
  owner: string;
  isThread?: boolean;
}

/** A kernel in small: processes fork, leave their session, drop their environment and end; pids come in a circle. */
function createKernel(pidLimit = 100_000) {
  const processes = new Map<number, FakeProcess>();
  let last = 1000;
  let clock = 0;
  let reads = 0;
  const nextPid = () => {
    do last = last + 1 >= pidLimit ? 300 : last + 1;
    while (processes.has(last));
    return last;
  };
  const add = (values: Partial<FakeProcess>): FakeProcess => {
    const pid = nextPid();
    clock += 1;
    const made = {
      pid,
      ppid: 1,
      pgrp: pid,
      session: pid,
      state: 'S',
      threads: 1,
      start: clock,
      marker: '',
      owner: '',
      ...values,
    };
    processes.set(pid, made);
    return made;
  };
  const table: ProcessTable = {
    tree: 'best-effort',
    bootId: 'boot',
    pidNamespace: 'ns',
    stat(pid) {
      reads += 1;
      return processes.get(pid);
    },
    pids: () => [...processes.values()].flatMap((one) => (one.isThread ? [] : [one.pid])),
    newestPid: () => last,
    pidLimit,
    isProcess: (pid) => processes.get(pid)?.isThread !== true,
    marker: (pid) => processes.get(pid)?.marker,
    stdout: () => undefined,
    isStdout: () => false,
    namespaceOf: () => 'ns',
    uptimeMs: () => 0,
    ageMs: () => 0,
  };
  return {
    table,
    processes,
    root: (owner: string) => add({ marker: `${owner}/1/n`, owner }),
    stranger: () => add({}),
    fork: (parent: FakeProcess, more: Partial<FakeProcess> = {}) =>
      add({
        ppid: parent.pid,
        pgrp: parent.pgrp,
        session: parent.session,
        marker: parent.marker,
        owner: parent.owner,
        ...more,
      }),
    leaveSession(one: FakeProcess) {
      one.session = one.pid;
      one.pgrp = one.pid;
    },
    end(one: FakeProcess) {
      processes.delete(one.pid);
      for (const child of processes.values()) if (child.ppid === one.pid) child.ppid = 1;
    },
    setLast: (pid: number) => (last = pid),
    readsSince() {
      const count = reads;
      reads = 0;
      return count;
    },
  };
}

type Kernel = ReturnType<typeof createKernel>;
const silent = createLogger(() => {});
function treeOf(kernel: Kernel) {
  let nowMs = 0;
  const kin: [string, number][] = [];
  const tree = createTree({
    table: kernel.table,
    log: silent,
    nowMs: () => nowMs,
    onKin: (key, found) => kin.push(...found.map(({ pid }): [string, number] => [key, pid])),
  });
  const add = ({ pid, start, owner, marker }: FakeProcess) =>
    tree.add({ key: owner, pid, start, marker, isNew: true, kin: [] });
  const pids = (key: string) =>
    tree
      .members(key)
      .map(({ pid }) => pid)
      .toSorted((a, b) => a - b);
  const pass = (ms: number) => (nowMs += ms);
  return { tree, add, pids, pass, kin };
}

test('a scan finds children by session, by parent and by marker', () => {
  const kernel = createKernel();
  const { tree, add, pids } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  tree.scan('full');
  const inSession = kernel.fork(root, { ppid: 1, marker: '' });
  const byParent = kernel.fork(root, { marker: '', session: 9, pgrp: 9 });
  const byMarker = kernel.fork(root, { ppid: 1, session: 8, pgrp: 8 });
  kernel.stranger();
  tree.scan('quick');
  expect(pids('a')).toEqual([root, inSession, byParent, byMarker].map(({ pid }) => pid));
});

test('a scan follows what it has seen, whatever it does then', () => {
  const kernel = createKernel();
  const { tree, add, pids, kin } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  tree.scan('full');
  const child = kernel.fork(root);
  tree.scan('quick');
  Object.assign(child, { ppid: 1, session: child.pid, pgrp: child.pid, marker: '' });
  const grandchild = kernel.fork(child);
  kernel.end(child);
  tree.scan('quick');
  expect(pids('a')).toEqual([root.pid, grandchild.pid]);
  expect(kin).toEqual([['a', grandchild.pid]]);
});

test('a process that was given the pid of a member is not one', () => {
  const kernel = createKernel();
  const { tree, add, pids } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  const child = kernel.fork(root);
  tree.scan('full');
  kernel.end(child);
  kernel.setLast(child.pid - 1);
  const other = kernel.stranger();
  const otherChild = kernel.fork(other);
  expect(other.pid).toBe(child.pid);
  expect(pids('a')).toEqual([root.pid]);
  tree.scan('full');
  tree.scan('quick');
  expect(pids('a')).toEqual([root.pid]);
  expect(otherChild.ppid).toBe(child.pid);
});

test('a new leader that was given the pid of a dead main process draws nobody in', () => {
  const kernel = createKernel();
  const { tree, add, pids } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  tree.scan('full');
  kernel.end(root);
  kernel.setLast(root.pid - 1);
  const other = kernel.stranger();
  kernel.fork(other);
  tree.scan('quick');
  expect(pids('a')).toEqual([]);
});

test('a quick scan takes no thread for a process', () => {
  const kernel = createKernel();
  const { tree, add, pids } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  tree.scan('full');
  kernel.fork(root, { isThread: true });
  tree.scan('quick');
  expect(pids('a')).toEqual([root.pid]);
});

test('a quick scan on an idle machine reads no process', () => {
  const kernel = createKernel();
  const { tree, add, pass } = treeOf(kernel);
  for (let i = 0; i < 50; i += 1) add(kernel.root(`a${i}`));
  tree.scan('full');
  tree.scan('quick');
  kernel.readsSince();
  for (let i = 0; i < 10; i += 1) {
    pass(1000);
    tree.scan('quick');
  }
  expect(kernel.readsSince()).toBe(0);
  pass(30_000);
  tree.scan('quick');
  expect(kernel.readsSince()).toBeGreaterThanOrEqual(50);
});

test('a process that is numbered before it can be seen is found by the next scan', () => {
  const kernel = createKernel();
  const { tree, add, pids } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  tree.scan('full');
  const late = kernel.fork(root);
  kernel.processes.delete(late.pid);
  tree.scan('quick');
  kernel.processes.set(late.pid, late);
  tree.scan('quick');
  expect(pids('a')).toEqual([root.pid, late.pid]);
});

test('a circle of pids that closes between two scans hides nobody', () => {
  const kernel = createKernel(2000);
  const { tree, add, pids, pass } = treeOf(kernel);
  const root = kernel.root('a');
  add(root);
  tree.scan('full');
  kernel.setLast(1200);
  tree.scan('quick');
  kernel.setLast(1700);
  tree.scan('quick');
  // numbered behind the last cursor; then the circle closes, and the newest pid lies between the last two cursors
  const hidden = kernel.fork(root);
  kernel.setLast(1400);
  pass(50);
  tree.scan('quick');
  expect(pids('a')).toEqual([root.pid, hidden.pid]);
  // and all the way round, to where it began, in a time in which a machine can do that
  const another = kernel.fork(root);
  kernel.setLast(1401);
  pass(150);
  tree.scan('quick');
  expect(new Set(pids('a'))).toEqual(new Set([root.pid, another.pid, hidden.pid]));
});

test('pid 0 and 1 and this process are never members, whatever a record says', () => {
  const kernel = createKernel();
  const { tree, pids } = treeOf(kernel);
  for (const pid of [-1, 0, 1, process.pid]) {
    kernel.processes.set(pid, {
      pid,
      ppid: 0,
      pgrp: 0,
      session: 0,
      state: 'S',
      threads: 1,
      start: 0,
      marker: '',
      owner: '',
    });
    tree.add({ key: `k${pid}`, pid, start: 0, marker: 'm', isNew: false, kin: [] });
  }
  kernel.stranger();
  tree.scan('full');
  for (const pid of [-1, 0, 1, process.pid]) expect(pids(`k${pid}`)).toEqual([]);
});

/** One step of a random life; the number chooses among the processes there are. */
const step = fc.record({
  what: fc.constantFrom('fork', 'fork', 'fork', 'session', 'clear', 'end', 'stranger', 'scan'),
  which: fc.nat(),
});

test('quick scans hold exactly the members, as long as each is seen before it has left everything', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.constantFrom(100_000, 1060), (steps, pidLimit) => {
      const kernel = createKernel(pidLimit);
      const { tree, add, pids, pass } = treeOf(kernel);
      const roots = ['a', 'b'].map((name) => kernel.root(name));
      for (const root of roots) add(root);
      tree.scan('full');
      for (const { what, which } of steps) {
        const all = [...kernel.processes.values()];
        const one = all[which % all.length]!;
        const isRoot = roots.includes(one);
        if (what === 'fork') kernel.fork(one);
        else if (what === 'stranger') kernel.stranger();
        else if (what === 'session') kernel.leaveSession(one);
        else if (what === 'clear') one.marker = '';
        else if (what === 'end' && !isRoot) kernel.end(one);
        pass(200);
        // each change is seen at once here: what may happen between two looks is the documented limit
        tree.scan('quick');
      }
      for (const { owner } of roots) {
        const wanted = [...kernel.processes.values()].filter((one) => one.owner === owner && isAlive(one));
        expect(pids(owner)).toEqual(wanted.map(({ pid }) => pid).toSorted((a, b) => a - b));
      }
    }),
    { numRuns: 300 },
  );
});
