// The same as worker.py, in JavaScript: works off tasks of a queue, one at a time.
import process from 'node:process';
import { Agent } from 'openstarry-daemon/sdk';

const agent = new Agent();
let done = 0;

async function say(line) {
  process.stdout.write(`[${agent.id}] ${line}\n`);
  await agent.publish('team.says', { line });
}

function primes(below) {
  const sieve = new Uint8Array(Math.max(below, 2)).fill(1);
  sieve.fill(0, 0, 2);
  for (let number = 2; number * number < below; number += 1)
    if (sieve[number]) for (let each = number * number; each < below; each += number) sieve[each] = 0;
  return sieve.subarray(0, below).reduce((sum, isPrime) => sum + isPrime, 0);
}

agent.on('TASK_DELEGATE', async (message) => {
  const { below } = message.payload;
  await agent.heartbeat({ progress: `primes below ${below}` });
  const result = { ok: true, worker: agent.id, result: primes(below) };
  await agent.reply(message, 'TASK_RESULT', result);
  done += 1;
});
agent.onStop(() => say(`stops after ${done} tasks`));
await Promise.all([agent.run(), say(`started, pid ${process.pid}`)]);
