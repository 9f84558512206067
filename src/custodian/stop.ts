import { createAttempt } from './attempt.ts';
import type { Context } from './context.ts';
import type { Incarnation, Stopping } from './incarnation.ts';
import { killTree } from './tree/kill-tree.ts';

/**
 * The stop ladder: signal to the group, grace, SIGKILL to the tree until nobody is left. The tombstone in the journal is
 * written by the caller before. Each step is local: neither a daemon nor a connection is needed.
 */
export interface StopLadder {
  begin(incarnation: Incarnation, stop: StopRequest): void;
}

export interface StopRequest {
  cause: Stopping['cause'];
  why?: string;
  signal: NodeJS.Signals;
  graceMs: number;
  since: string;
  /** The signal was sent by an earlier custodian. */
  isSignalled?: boolean;
}

const FIRST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 1000;

export function createStopLadder(context: Context): StopLadder {
  const { tree, journal, signaller, stuck } = context;
  const attempt = createAttempt('A step of a stop', context.log);

  const schedule = (incarnation: Incarnation, stopping: Stopping) => {
    clearTimeout(stopping.timer);
    const inMs = Math.max(0, stopping.killAtMs - performance.now());
    // setTimeout takes at most 2^31-1 ms; a longer one would fire at once
    stopping.timer = setTimeout(() => kill(incarnation, stopping, FIRST_WAIT_MS), Math.min(inMs, 2 ** 31 - 1));
  };

  const kill = (incarnation: Incarnation, stopping: Stopping, waitMs: number, how: 'quick' | 'full' = 'full') => {
    clearTimeout(stopping.timer);
    if (incarnation.ended) return;
    stopping.killingSinceMs ??= performance.now();
    const isDone = attempt(() => {
      tree.scan(how);
      killTree(context, incarnation);
      stuck.check(incarnation);
    });
    const nextMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    stopping.timer = setTimeout(() => kill(incarnation, stopping, nextMs, isDone ? 'quick' : how), waitMs);
  };

  const signal = (incarnation: Incarnation, stopping: Stopping) => {
    const { agent, pid, record } = incarnation;
    const group = record.kill_mode === 'process' ? undefined : pid;
    if (!stopping.isSignalled) {
      signaller.send(incarnation, stopping.signal, group);
      stopping.isSignalled = true;
      journal.keep([{ kind: 'signalled', agent, generation: record.generation }]);
    }
    // A stopped process hears nothing before it is continued.
    signaller.send(incarnation, 'SIGCONT', group);
    for (const member of tree.members(incarnation.key)) {
      if (member.pgrp !== pid && member.state === 'T') signaller.send(member, 'SIGCONT');
    }
  };

  /** Until it is heard, or the grace is over. */
  const signalSoon = (incarnation: Incarnation, stopping: Stopping, waitMs: number) => {
    if (incarnation.ended || stopping.killingSinceMs !== undefined) return;
    if (attempt(() => signal(incarnation, stopping))) return;
    setTimeout(() => signalSoon(incarnation, stopping, Math.min(waitMs * 2, LONGEST_WAIT_MS)), waitMs);
  };

  return {
    begin(incarnation, { cause, why, signal: name, graceMs, since, isSignalled = false }) {
      const killAtMs = performance.now() + graceMs;
      const running = incarnation.stopping;
      if (running) {
        // A second stop can only shorten; its signal is not sent, as each process hears one.
        if (killAtMs < running.killAtMs && running.killingSinceMs === undefined) {
          running.killAtMs = killAtMs;
          if (!incarnation.ended) schedule(incarnation, running);
        }
        return;
      }
      const stopping: Stopping = { cause, ...(why === undefined ? {} : { why }), signal: name, since, killAtMs };
      incarnation.stopping = stopping;
      if (incarnation.paused) {
        // A stop resumes a paused tree. Scan first: an unseen member would stay SIGSTOPped for ever.
        delete incarnation.paused;
        attempt(() => tree.scan('quick'));
      }
      // Its main process has gone already: the sweep is at work.
      if (incarnation.ended) return;
      if (graceMs <= 0 || name === 'SIGKILL') {
        kill(incarnation, stopping, FIRST_WAIT_MS);
        return;
      }
      if (!isSignalled) signalSoon(incarnation, stopping, FIRST_WAIT_MS);
      schedule(incarnation, stopping);
    },
  };
}
