import { Agent, request } from 'node:http';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { describe } from 'vitest';
import type { AgentView } from '../../src/contract/agent-view.ts';
import type { DaemonFile } from '../../src/contract/daemon-view.ts';
import { workflowIdOf } from '../../src/contract/names.ts';
import { isAlive } from '../support/daemon.ts';
import { until } from '../support/wait.ts';
import { chaos, type ChaosCase } from './chaos-case.ts';
import { timed, Trial } from './trial.ts';

const PER_SECOND = 500;
const TICK_MS = 20;
/** Events of one run; at 51,200 Temporal would end it. */
const MAX_EVENTS = 4_096;

/** Of one signal: below what Temporal takes in one, 2 MiB. */
const SIGNAL_BYTES = 512 * 1024;
/** A larger history Temporal ends. */
const MAX_HISTORY_BYTES = 50 * 1024 * 1024;

async function clientOf(trial: Trial): Promise<Client> {
  const { temporal } = await trial.daemon.status();
  return new Client({ connection: await Connection.connect({ address: temporal.address }) });
}

interface Flood {
  /** How many answers had which status. */
  statuses: Map<number, number>;
  /** Until the last command had left. */
  sentMs: number;
  /** What each was that was accepted; equal neighbours share a revision. Null: an order, kept until Temporal has it. */
  accepted: { verb: string; revision: number | null }[];
}

/** Sends commands at a constant rate. */
async function flood(trial: Trial, id: string, count: number): Promise<Flood> {
  const { ports } = JSON.parse(readFileSync(path.join(trial.daemon.stateDir, 'daemon.json'), 'utf8')) as DaemonFile;
  const token = readFileSync(path.join(trial.daemon.stateDir, 'token'), 'utf8').trim();
  // Below the server's keep-alive of 5 s: a request on a connection that it is just closing would be reset.
  const agent = new Agent({ keepAlive: true, maxSockets: 1_000, timeout: 3_000 });
  const told: Flood = { statuses: new Map(), sentMs: 0, accepted: [] };
  const startedMs = performance.now();
  const send = (verb: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const options = { agent, method: 'POST', headers: { authorization: `Bearer ${token}` } };
      request(`http://127.0.0.1:${ports.api}/agents/${id}/${verb}?wait=accepted`, options, (response) => {
        const status = response.statusCode ?? 0;
        told.statuses.set(status, (told.statuses.get(status) ?? 0) + 1);
        const chunks: Buffer[] = [];
        response
          .on('data', (chunk: Buffer) => chunks.push(chunk))
          .on('end', () => {
            const { revision = null } = JSON.parse(Buffer.concat(chunks).toString()) as { revision?: number | null };
            if (status < 300) told.accepted.push({ verb, revision });
            resolve();
          });
      })
        .on('finish', () => (told.sentMs = performance.now() - startedMs))
        .on('error', reject)
        .end();
    });
  const answers: Promise<void>[] = [];
  while (answers.length < count) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / 1000) * PER_SECOND));
    while (answers.length < due) answers.push(send(answers.length % 2 === 0 ? 'stop' : 'start'));
    await delay(TICK_MS);
  }
  await Promise.all(answers);
  agent.destroy();
  return told;
}

/** Commands take the numbers from 1 on, each one number: what was accepted and forgotten leaves its number to another. */
function checkAccepted(c: ChaosCase, accepted: Flood['accepted'], taken: number): void {
  const verbs = new Map<number, Set<string>>();
  for (const { verb, revision } of accepted)
    if (revision !== null) verbs.set(revision, (verbs.get(revision) ?? new Set()).add(verb));
  const orders = accepted.filter(({ revision }) => revision === null).length;
  const shared = [...verbs].filter(([, of]) => of.size > 1).map(([revision]) => revision);
  c.check(shared.length === 0, `different commands were accepted as ${shared.join(', ')}`);
  c.check(
    Math.max(...verbs.keys()) <= taken && verbs.size <= taken && taken <= verbs.size + orders,
    `${taken} commands taken, ${verbs.size} accepted up to ${Math.max(...verbs.keys())} and ${orders} orders`,
  );
  c.figure('commands taken', `${taken} of ${accepted.length} accepted, equal neighbours as one`);
}

describe('a flood', () => {
  chaos(
    'of commands through the API at 500/s to one agent: limited with 429, nothing accepted is lost',
    async (c) => {
      await using trial = await Trial.make(c);
      await trial.daemon.start();
      c.rounds = c.size(1_000, 12_000);
      const id = trial.id('flooded');
      await trial.daemon.call('POST', '/agents', { agent_id: id, command: ['sleep', '36090'] });
      const client = await clientOf(trial);
      const handle = client.workflow.getHandle(workflowIdOf(id));
      const flooding = new AbortController();
      const queries: number[] = [];
      const asking = (async () => {
        while (!flooding.signal.aborted) {
          queries.push(await timed(() => handle.query('status')));
          await delay(500);
        }
      })();
      const { statuses, sentMs, accepted } = await flood(trial, id, c.rounds);
      flooding.abort();
      await asking;
      const perSecond = Math.round(c.rounds / (sentMs / 1_000));
      c.figure('sent in', `${Math.round(sentMs)} ms, ${perSecond} a second`);
      c.check(perSecond >= c.size(0, 0.9) * PER_SECOND, `only ${perSecond} a second were sent`);
      c.figure('answers', [...statuses].map(([status, times]) => `${times} × ${status}`).join(', '));
      const count = (status: number): number => statuses.get(status) ?? 0;
      c.check(count(200) + count(202) + count(429) === c.rounds, 'other answers than accepted and limited');
      c.check(count(429) > c.rounds / 2, `only ${count(429)} were limited`);
      c.spread('the workflow answers a query in', queries);
      c.check(Math.max(...queries) < c.size(10_000, 5_000), `a query took ${Math.max(...queries)} ms`);
      // What was accepted has been dealt with when what is accepted after it has; equal neighbours count as one.
      const closed = await until(
        async () => {
          const { status, body } = await trial.daemon.call<{ revision: number | null }>('POST', `/agents/${id}/stop`);
          if (status < 300) accepted.push({ verb: 'stop', revision: body.revision });
          return status === 200 && body;
        },
        { deadlineMs: 30_000, what: 'a stop to be accepted and carried out' },
      );
      c.check(closed.revision !== null, 'the last stop has no revision');
      const view = (await trial.daemon.agent(id))!;
      const known = await handle.query<AgentView>('status');
      c.check(view.revision === known.revision, `roster ${view.revision}, workflow ${known.revision}`);
      checkAccepted(c, accepted, view.revision);
      const later = (await trial.observer.report()).incarnations.filter(({ lives }) => lives);
      c.check(later.length === 0 && view.state === 'stopped', `${view.state}, ${later.length} live`);
      await client.connection.close();
      await trial.compare('after the flood');
      await trial.finish();
    },
    { timeoutMs: 240_000 },
  );

  for (const isDown of [false, true]) {
    chaos(
      `of signals straight to a workflow${isDown ? ' while the daemon is dead' : ''}: the process lives on, the life goes on`,
      async (c) => {
        await using trial = await Trial.make(c);
        await trial.daemon.start();
        c.rounds = c.size(2_000, 12_000);
        const id = trial.id('signalled');
        const { body } = await trial.daemon.call<AgentView>('POST', '/agents', {
          agent_id: id,
          command: ['sleep', '36091'],
        });
        const client = await clientOf(trial);
        const handle = client.workflow.getHandle(workflowIdOf(id));
        if (isDown) await trial.daemon.signal('SIGKILL');
        const sentMs = performance.now();
        let refused = 0;
        let sent = 0;
        const sender = async (): Promise<void> => {
          while (sent < c.rounds) {
            sent += 1;
            await handle.signal('start').catch(() => (refused += 1));
          }
        };
        await Promise.all(Array.from({ length: 50 }, sender));
        c.figure('sent', `${c.rounds} in ${Math.round(performance.now() - sentMs)} ms, ${refused} refused by Temporal`);
        if (isDown) await trial.daemon.start();
        const settledMs = await timed(() =>
          until(async () => (await trial.daemon.call('POST', `/agents/${id}/start`)).status === 200, {
            deadlineMs: 60_000,
            what: 'a command to be accepted and carried out',
          }),
        );
        c.figure('a command is carried out again', `${Math.round(settledMs)} ms later`);
        const now = await trial.daemon.untilAgent(id, (a) => a.state === 'running', 'running', 60_000);
        c.check(now.pid === body.pid && isAlive(body.pid!), `pid ${now.pid}, it was ${body.pid}`);
        // Whatever became of its workflow: what dies now is replaced.
        process.kill(now.pid!, 'SIGKILL');
        const replaced = (a: AgentView): boolean => a.state === 'running' && a.pid !== now.pid;
        await trial.daemon.untilAgent(id, replaced, 'replaced', 60_000);
        await client.connection.close();
        await trial.compare('after the flood');
        await trial.finish();
      },
      { isLong: true, timeoutMs: 240_000 },
    );
  }

  chaos(
    'of signals that fill its history: Temporal ends the workflow, reconciliation makes it again around the live process',
    async (c) => {
      await using trial = await Trial.make(c);
      await trial.daemon.start();
      const id = trial.id('filled');
      const spec = { agent_id: id, command: ['sleep', '36092'] };
      await trial.daemon.call('POST', '/agents', spec);
      const before = (await trial.daemon.agent(id))!;
      const client = await clientOf(trial);
      const handle = client.workflow.getHandle(workflowIdOf(id));
      // A workflow that is served goes on in a new run long before.
      await trial.daemon.signal('SIGKILL');
      const large = { request_id: 'x'.repeat(SIGNAL_BYTES) };
      let sent = 0;
      while (sent * SIGNAL_BYTES < 2 * MAX_HISTORY_BYTES) {
        const isTaken = await handle.signal('start', large).then(
          () => true,
          () => false,
        );
        if (!isTaken) break;
        sent += 1;
      }
      c.rounds = sent;
      c.figure('sent', `${sent} of ${SIGNAL_BYTES / 1024} KiB`);
      const { status } = await handle.describe();
      c.check(status.name === 'TERMINATED', `after ${sent} signals Temporal has the workflow as ${status.name}`);
      const isAnew = async (view: AgentView | undefined): Promise<boolean> =>
        view?.state === 'running' &&
        view.run_id !== before.run_id &&
        JSON.stringify((await trial.daemon.call('GET', `/agents/${id}/history`)).body).includes('was lost');
      const mendedMs = await timed(async () => {
        await trial.daemon.start();
        const mended = async (): Promise<boolean> => isAnew(await trial.daemon.agent(id));
        await until(mended, { deadlineMs: 60_000, what: 'the life under a new workflow' });
      });
      c.figure('made again', `${Math.round(mendedMs)} ms after the start of the daemon`);
      c.check(mendedMs < 60_000, `made again only ${Math.round(mendedMs)} ms after the start`);
      const now = (await trial.daemon.agent(id))!;
      c.check(now.pid === before.pid && isAlive(before.pid!), `pid ${now.pid}, it was ${before.pid}`);
      c.check(now.restarts === 0 && now.generation === 1, `restarts ${now.restarts}, generation ${now.generation}`);
      process.kill(before.pid!, 'SIGKILL');
      const replaced = (a: AgentView): boolean => a.state === 'running' && a.pid !== before.pid;
      const then = await trial.daemon.untilAgent(id, replaced, 'replaced', 60_000);
      c.check(then.restarts === 1, `its death was charged ${then.restarts} times`);
      await client.connection.close();
      await trial.compare('after the flood');
      await trial.finish();
    },
    { isLong: true, timeoutMs: 300_000 },
  );

  chaos(
    'of crashes: as many as 24 h of a crash loop have, no run of the workflow reaches 4,096 events',
    async (c) => {
      // Doubling from 500 ms to the cap of 60 s, then one a minute.
      c.rounds = c.size(300, 1_447);
      const loop = { base: 'data', backoff: { initial: '1ms', max: '1ms', jitter: 0 } };
      await using trial = await Trial.make(c, { config: { fault_domains: { loop } } });
      await trial.daemon.start();
      const id = trial.id('loop');
      const crasher = { agent_id: id, command: ['false'], fault_domain: 'loop' };
      const startedMs = performance.now();
      await trial.daemon.call('POST', '/agents?wait=accepted', crasher);
      await until(async () => ((await trial.daemon.agent(id))?.restarts ?? 0) >= c.rounds, {
        deadlineMs: c.rounds * 1_000,
        what: `${c.rounds} crashes`,
      });
      c.figure('a crash and its restart take', `${Math.round((performance.now() - startedMs) / c.rounds)} ms`);
      await trial.daemon.call('POST', `/agents/${id}/stop`);
      const client = await clientOf(trial);
      const events: number[] = [];
      for await (const { historyLength } of client.workflow.list({ query: `WorkflowId = '${workflowIdOf(id)}'` }))
        events.push(historyLength);
      const view = (await trial.daemon.agent(id))!;
      c.figure('runs', events.length);
      c.figure('events of the longest run', Math.max(...events));
      c.figure('events a crash', (events.reduce((sum, one) => sum + one, 0) / view.generation).toFixed(1));
      c.check(Math.max(...events) < MAX_EVENTS, `a run of ${Math.max(...events)} events`);
      c.check(events.length > 1, 'there was only one run');
      await client.connection.close();
      await trial.compare('after the loop');
      await trial.finish();
    },
    { isLong: true, timeoutMs: 1_800_000 },
  );
});
