// The lead: delegates tasks round after round, collects the results, and learns when a worker is gone for good. It is the
// Master Agent of this team, so what it prints is shown on the terminal: it passes on what the others say.
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'openstarry-daemon/sdk';

const EVERY_MS = 2000;
const TASKS = 6;
const QUEUE = { queue: 'analysis' };
const agent = new Agent();
const { signal } = agent.stopping;
const print = (line) => process.stdout.write(`${line}\n`);
const say = (line) => print(`[${agent.id}] ${line}`);

/** What the process before this one knew. */
const known = agent.snapshot() ?? { round: 0, lost: [] };
/** Of the rounds that are under way: the results that have come in. */
const open = new Map();

/** The others may not be there yet. */
async function untilThere(send) {
  for (;;) {
    try {
      return await send();
    } catch (error) {
      if (error.code !== 'AGENT_NOT_FOUND') throw error;
      await delay(200, undefined, { signal });
    }
  }
}

/** One batch is in the mailbox at once: it is read by priority, not in the order in which it was written. */
async function writeLetters() {
  const letter = (priority, text) => ({ type: 'TEXT', payload: text, priority, idempotency_key: `letter-${priority}` });
  const letters = [letter(1, 'when you have time'), letter(9, 'at once'), letter(5, 'today')];
  await untilThere(() => agent.sendAll('alice', letters));
  say('has sent alice three letters with the priorities 1, 9 and 5');
}

async function delegate() {
  known.round += 1;
  const { round } = known;
  await agent.saveSnapshot(known);
  open.set(round, new Map());
  const task = (number) => ({
    type: 'TASK_DELEGATE',
    payload: { task_id: `${round}/${number}`, task: 'primes', below: 100_000 * number + round },
    correlation_id: `${round}/${number}`,
    idempotency_key: `${round}/${number}`,
    ttl: '10m',
  });
  await agent.sendAll(
    QUEUE,
    Array.from({ length: TASKS }, (_, n) => task(n + 1)),
  );
}

async function collect({ correlation_id: id, payload }) {
  const [round, number] = id.split('/').map(Number);
  const results = open.get(round);
  if (results === undefined) return; // it was begun by the process before this one
  results.set(number, payload);
  if (results.size < TASKS) return;
  open.delete(round);
  const shares = {};
  for (const { worker } of results.values()) shares[worker] = (shares[worker] ?? 0) + 1;
  await agent.shared.put(`team/rounds/${round}`, { shares, results: Object.fromEntries(results) }, { ttl: '1h' });
  const told = Object.entries(shares).map(([worker, tasks]) => `${worker} ${tasks}`);
  say(`round ${round} is done: ${told.toSorted().join(', ')}`);
}

/** The daemon tells on `agent.<id>.state` what becomes of each agent. */
async function watch({ payload: { agent_id: id, state, reason } }) {
  if (state === 'backoff') say(`${id} has crashed: ${reason}`);
  if (state !== 'disabled' || known.lost.includes(id)) return;
  known.lost.push(id);
  await agent.shared.put(`team/lost/${id}`, { reason });
  await agent.saveSnapshot(known);
  say(`${id} is gone for good: ${reason}. The team goes on without it.`);
}

async function lead() {
  say(`started, pid ${process.pid}${known.round > 0 ? `, ${known.round} rounds so far` : ''}`);
  await agent.subscribe('team.says', ({ from, payload }) => print(`[${from}] ${payload.line}`), {
    after: 0,
    name: 'says',
  });
  await agent.subscribe('agent.*.state', watch, { name: 'states' });
  if (known.round === 0) await writeLetters();
  while (!signal.aborted) {
    await delegate();
    await delay(EVERY_MS, undefined, { signal });
  }
}

agent.on('TASK_RESULT', collect);
agent.on('CONTROL', ({ payload }) => say(`is told: ${payload.reason ?? JSON.stringify(payload)}`));
agent.onStop(() => say(`stops after round ${known.round}`));
const leading = lead().catch((error) => {
  if (!signal.aborted) agent.fail(error);
});
await Promise.all([agent.run(), leading]);
