// The same as greeter.py, in JavaScript: greets a friend every two seconds, and reads what comes.
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'openstarry-daemon/sdk';

const EVERY_MS = 2000;
const agent = new Agent();
const friend = process.env.FRIEND;
// What the process before this one has saved.
let { greeted } = agent.snapshot() ?? { greeted: 0 };

async function say(line) {
  process.stdout.write(`[${agent.id}] ${line}\n`);
  await agent.publish('team.says', { line });
}

async function greet() {
  try {
    await agent.send(friend, 'TEXT', `hello ${friend}, this is number ${greeted + 1}`, { ttl: '1m' });
    greeted += 1;
  } catch (error) {
    await say(`cannot greet ${friend}: ${error.message}`);
  }
}

async function greetOnAndOn() {
  const { signal } = agent.stopping;
  await say(`started, pid ${process.pid}${greeted > 0 ? `, ${greeted} greetings so far` : ''}`);
  while (await delay(EVERY_MS, !signal.aborted, { signal }).catch(() => false)) await greet();
}

agent.onCron(greet);
agent.on('*', async (message) => {
  const { from, priority, payload } = message;
  const text = typeof payload === 'string' ? payload : payload.text;
  await agent.publish('team.read', { by: agent.id, from, text, priority });
  await say(`read from ${from}, priority ${priority}: ${text}`);
  // Somebody who waits for an answer gets one: `sessions send bob "…" --wait 5s`.
  if (message.reply_to !== null) await agent.reply(message, 'TEXT', `${agent.id} has read: ${text}`);
});
agent.onStop(async () => {
  await agent.saveSnapshot({ greeted });
  await say(`stops after ${greeted} greetings`);
});
await Promise.all([agent.run(), greetOnAndOn()]);
