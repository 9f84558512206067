// Starts the daemon as a benchmark of process supervisors wants it: DIR/agents.json holds
// {"mode": "default" | "fast", "agents": [{"name", "argv"}]}; the state goes into DIR too.
import { readFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const dir = path.resolve(process.argv[2]);
const { mode, agents } = JSON.parse(readFileSync(path.join(dir, 'agents.json'), 'utf8'));
mkdirSync(path.join(dir, 'templates'), { recursive: true });
const config = {
  version: 1,
  design_layer: { path: './templates' },
  ports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 },
  ...(mode === 'fast' ? { defaults: { backoff: { initial: '0ms' } } } : {}),
  // Always started again; the mark by which the benchmark knows what it started.
  agents: Object.fromEntries(
    agents.map(({ name, argv }) => [
      name,
      { command: argv, fault_domain: 'data', env: { BENCH_RUN: '${BENCH_RUN:-none}' } },
    ]),
  ),
};
const file = path.join(dir, 'openstarry.yaml');
writeFileSync(file, JSON.stringify(config));
process.env['OPENSTARRY_HOME'] = path.join(dir, 'home');
const entry = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
process.argv = [process.argv[0], entry, 'start', '--config', file];
await import(entry);
