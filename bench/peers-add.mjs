// Adds one agent to the daemon of DIR, through its API: DIR NAME ARGV_JSON
import { readFileSync } from 'node:fs';
import path from 'node:path';

const [dir, name, argv] = process.argv.slice(2);
const state = path.join(path.resolve(dir), 'home', 'orchestrator');
const { ports } = JSON.parse(readFileSync(path.join(state, 'daemon.json'), 'utf8'));
const response = await fetch(`http://127.0.0.1:${ports.api}/agents`, {
  method: 'POST',
  headers: {
    authorization: `Bearer ${readFileSync(path.join(state, 'token'), 'utf8').trim()}`,
    'content-type': 'application/json',
  },
  body: JSON.stringify({
    agent_id: name,
    command: JSON.parse(argv),
    fault_domain: 'data',
    env: { BENCH_RUN: '${BENCH_RUN:-none}' },
  }),
});
if (response.status !== 201) throw new Error(`${response.status}: ${await response.text()}`);
