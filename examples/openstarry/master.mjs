// The Master Agent: manages its worker by the AgentManagerTool alone. It decides; the daemon executes.
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AgentManagerTool } from 'openstarry-daemon/sdk';

const { values } = parseArgs({ options: { worker: { type: 'string' }, template: { type: 'string' } } });
const worker = { agent_id: values.worker ?? 'data_worker_007' };
const template_id = values.template ?? 'DataAnalystAgent_v1';
const WATCH_MS = 300;
const say = (line) => process.stdout.write(`${line}\n`);

/** REST with the agent's own token, or straight to the workflows of the agents. */
async function toolOf(transport) {
  if (transport !== 'temporal') return new AgentManagerTool();
  const { Client, Connection } = await import('@temporalio/client');
  const { TemporalTransport } = await import('openstarry-daemon/sdk/temporal');
  const connection = await Connection.connect({ address: process.env.MASTER_TEMPORAL });
  return new AgentManagerTool(new TemporalTransport({ client: new Client({ connection }) }));
}

async function engage(tool) {
  try {
    const agent = await tool.execute({ action: 'agent:start', ...worker, template_id });
    say(`engaged ${agent.agent_id} from ${agent.template_id}`);
  } catch (error) {
    if (error.code !== 'AGENT_EXISTS') throw error;
    say(`${worker.agent_id} works for me already`);
  }
}

/** Tells what changes, until the worker is gone. */
async function watch(tool) {
  let told = '';
  for (;;) {
    const news = await tool.execute({ action: 'agent:status', ...worker }).then(
      (agent) => `${agent.agent_id} is ${agent.state}, generation ${agent.generation}: ${agent.reason}`,
      (error) => `${error.code}: ${error.message}`,
    );
    if (news !== told) say(news);
    told = news;
    await delay(WATCH_MS);
  }
}

process.on('SIGTERM', () => process.exit(0));
const tool = await toolOf(process.env.MASTER_TRANSPORT);
process.on('SIGUSR1', () => {
  tool.execute({ action: 'agent:stop', ...worker }).then(
    ({ deleted }) => say(`dismissed ${worker.agent_id}: ${deleted ? 'gone' : 'going'}`),
    (error) => say(`cannot dismiss ${worker.agent_id}: ${error.code} ${error.message}`),
  );
});
say(`the master manages by ${process.env.MASTER_TRANSPORT ?? 'rest'}`);
await engage(tool);
await watch(tool);
