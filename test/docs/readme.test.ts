import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { TestDaemon } from '../support/daemon.ts';
import { page, ROOT } from './pages.ts';

const ANY_PORTS = 'ports: { api: 0, health: 0, metrics: 0, temporal: 0, ui: 0 }';

let self: TestDaemon;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  self = await TestDaemon.make({});
  const bin = path.join(self.dir, 'bin');
  await mkdir(bin);
  await cp(path.join(ROOT, 'examples', 'quickstart'), self.dir, { recursive: true });
  await appendFile(path.join(self.dir, 'openstarry.yaml'), `\n${ANY_PORTS}\n`);
  await symlink(path.join(self.dir, 'home'), path.join(self.dir, '.openstarry'));
  env = {
    ...self.env,
    HOME: self.dir,
    PATH: `${bin}:${process.env['PATH']}`,
    DAEMON: `${process.execPath} ${path.join(inject('root'), 'dist', 'cli', 'main.js')}`,
    TEMPORAL: inject('temporalCli'),
    // Another HOME has another cache.
    OPENSTARRY_TEMPORAL_CLI: inject('temporalCli'),
  };
  const program = async (name: string, ...lines: string[]): Promise<void> => {
    await writeFile(path.join(bin, name), ['#!/bin/bash', 'set -e', ...lines, ''].join('\n'));
    await chmod(path.join(bin, name), 0o755);
  };
  const real = async (name: string): Promise<string> =>
    (await shell(`PATH=\${PATH#*:}; command -v ${name}`)).out.trim();
  await program('npx', '[ "$1" = openstarry-daemon ]', 'exec $DAEMON "${@:2}"');
  // In the foreground, as in another terminal; what it does before that is for test/e2e/quickstart.test.ts.
  await program(
    'npm',
    '[ "$*" = start ]',
    '$DAEMON start > "$HOME/start.log" 2>&1 &',
    'for i in $(seq 200); do $DAEMON --json status 2>/dev/null | grep -q \'"phase": "run"\' && exit; sleep 0.1; done',
    'cat "$HOME/start.log" >&2; exit 1',
  );
  await program(
    'until-agent',
    'for i in $(seq 300); do $DAEMON agents show "$1" | grep -q "$1 is $2" && exit; sleep 0.1; done; exit 1',
  );
  await program('port', `$DAEMON --json status | node -pe 'JSON.parse(require("fs").readFileSync(0)).ports['"'$1'"']'`);
  await program('temporal', 'exec "$TEMPORAL" "$@" --address "127.0.0.1:$(port temporal)"');
  await program('curl', `exec ${await real('curl')} --fail-with-body --silent --show-error --max-time 30 "$@"`);
}, 60_000);
afterAll(() => self?.end());

/** Ends at the first line that fails; then `out` tells which. */
async function shell(script: string): Promise<{ code: number | null; out: string }> {
  const child = spawn('bash', ['-euxo', 'pipefail', '-c', script], {
    cwd: self.dir,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  return { code: child.exitCode, out: child.exitCode === 0 ? out : `${said}${out}` };
}

/** As the page has them, but for ports that are free, and for what a reader does with eyes and keys. */
function runnable(block: string): string {
  return block
    .replaceAll(/^(npx .*(?:logs -f|topics tail).*)$/gm, (line) => `timeout -s INT 2 ${line.split('#')[0]} || true`)
    .replaceAll(/^alias .*$/gm, '')
    .replaceAll(/localhost:(5050|8000|8001)/g, (_, port: '5050' | '8000' | '8001') => {
      const names = { '5050': 'api', '8000': 'health', '8001': 'metrics' } as const;
      return `localhost:$(port ${names[port]})`;
    })
    .replace(/^agents:$/m, `${ANY_PORTS}\nagents:`)
    .replace(/^(?=kill -9 )/m, "until-agent ticker 'running.* generation 2:'\nnpx openstarry-daemon agents ls\n")
    .replace(/^(?=.* agents ls\n.* agents show checker)/m, 'until-agent checker disabled\n')
    .replaceAll(/^npx openstarry-daemon agents ls/gm, 'npx openstarry-daemon --json agents ls');
}

interface Listed {
  agent_id: string;
  state: string;
  pid: number | null;
}

/** What `agents ls` has shown, each time, by agent. */
const listings = (out: string): Record<string, Listed>[] =>
  [...out.matchAll(/^\{\n {2}"agents"[\s\S]*?^\}$/gm)].map(([listing]) => {
    const { agents } = JSON.parse(listing) as { agents: Listed[] };
    return Object.fromEntries(agents.map((agent) => [agent.agent_id, agent]));
  });

it('README.md: every line of its shell blocks can be run, in the order of the page', async () => {
  const blocks = [...page('README.md').text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block as string);
  const [first, ...others] = blocks;
  expect(first).toMatch(/^npm start .*\nnpm test /);
  const { code, out } = await shell(['npm start', ...others.map(runnable)].join('\n'));
  expect([code, code === 0 ? '' : out]).toEqual([0, '']);
  for (const seen of [
    'ticker is running',
    'ticker is deleted',
    '"agent_id":"hello"',
    'hello\n',
    'agent_state{',
    'agent/x',
    "can't open file",
    'gave up',
    '+ second is new',
  ])
    expect(out).toContain(seen);

  const [, before, revived, given, mended, ...more] = listings(out);
  expect(more).toEqual([]);
  const pids = (agents: Record<string, Listed> = {}) => [agents['master']?.pid, agents['ticker']?.pid];
  expect(pids(revived)).toEqual([expect.any(Number), expect.any(Number)]);
  expect(pids(revived)).toEqual(pids(before));
  expect(given).toMatchObject({ clock: { state: 'running' }, checker: { state: 'disabled' } });
  expect(given).not.toHaveProperty('master');
  expect(mended).toMatchObject({
    clock: { state: 'running', pid: given?.['clock']?.pid },
    checker: { state: 'running' },
  });
}, 400_000);
