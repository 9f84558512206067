import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import { listen } from '../../src/api/listen.ts';
import { apiFixture, TOKEN, type ApiFixture } from '../api/api-fixture.ts';

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

/** The command line, against an API over a service that answers at once. */
export interface CliFixture {
  api: ApiFixture;
  home: string;
  start(args: string[], env?: NodeJS.ProcessEnv): { child: ReturnType<typeof spawn>; ran: Ran };
  run(args: string[], env?: NodeJS.ProcessEnv): Promise<Ran>;
  end(): Promise<void>;
}

export async function cliFixture(): Promise<CliFixture> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'openstarry-test-cli-'));
  const state = path.join(home, 'orchestrator');
  await mkdir(state, { mode: 0o700 });
  await writeFile(path.join(state, 'token'), `${TOKEN}\n`, { mode: 0o600 });
  const api = apiFixture({ commandLimit: { perSecond: 1000, burst: 1000 } });
  const server = await listen(api.app, { port: 0, name: 'api' });
  const daemon = { pid: process.pid, version: '0.1.0', phase: 'run', ports: { api: server.port } };
  await writeFile(path.join(state, 'daemon.json'), JSON.stringify(daemon), { mode: 0o600 });
  const entry = path.join(inject('root'), 'dist', 'cli', 'main.js');

  const start: CliFixture['start'] = (args, env = {}) => {
    const child = spawn(process.execPath, [entry, ...args], {
      env: { PATH: process.env['PATH'], HOME: home, OPENSTARRY_HOME: home, ...env },
      cwd: home,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ran: Ran = { code: null, out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.out += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.err += text));
    return { child, ran };
  };
  return {
    api,
    home,
    start,
    async run(args, env) {
      const { child, ran } = start(args, env);
      await once(child, 'close');
      return { ...ran, code: child.exitCode };
    },
    async end() {
      await server.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
