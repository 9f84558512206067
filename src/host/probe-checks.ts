/** Asks a process whether it is well. Each check answers within its time-out, whatever the other side does. */
import { spawn, type ChildProcess } from 'node:child_process';
import { get as httpGet, type ClientRequest } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import type { ProbeCheck, ProbeResult } from '../domain/health.ts';
import { describeMs } from '../domain/duration.ts';
import { SHORTAGES } from '../domain/passing-faults.ts';

/** Where and with what a check's own program runs. */
export interface ExecContext {
  cwd: string;
  env: Record<string, string>;
}

/** As much of what a check's program says stands in the reason. */
const SAID_CHARACTERS = 200;

/** A fork costs what its parent weighs, so a whole fleet of such checks must not come at once. */
class Turnstile {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(places: number) {
    this.free = places;
  }

  async next<T>(run: () => Promise<T>): Promise<T> {
    if (this.free === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.free -= 1;
    try {
      return await run();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}

const programs = new Turnstile(8);

const failed = (why: string): ProbeResult => ({ ok: false, why });

/** @returns null if it could not be asked for a reason that is not the agent's: then nothing is known */
export async function runCheck(
  check: ProbeCheck,
  timeoutMs: number,
  context: () => Promise<ExecContext>,
): Promise<ProbeResult | null> {
  const where = check.kind === 'exec' ? await context() : undefined;
  try {
    switch (check.kind) {
      case 'http':
        return await askHttp(check.url, timeoutMs);
      case 'tcp':
        return await askTcp(check.host, check.port, timeoutMs);
      case 'exec':
        return await programs.next(() => askProgram(check.command, timeoutMs, where as ExecContext));
    }
  } catch (error) {
    if (error instanceof HostFault) return null;
    const what = check.kind === 'exec' ? check.command[0] : `the ${check.kind} check`;
    return failed(`${what} cannot be run: ${(error as Error).message}`);
  }
}

/** This host lacks something, so it cannot ask. */
class HostFault extends Error {}
const HOST_FAULTS: ReadonlySet<string> = new Set([...SHORTAGES, 'EADDRNOTAVAIL']);

function askHttp(url: string, timeoutMs: number): Promise<ProbeResult> {
  const what = `GET ${withoutSecrets(url)}`;
  return new Promise((resolve, reject) => {
    const options = {
      // A check reaches its own process: a certificate proves nothing there, as in Kubernetes.
      rejectUnauthorized: false,
      agent: false,
      headers: { 'user-agent': 'openstarry-probe', connection: 'close' },
    } as const;
    const end = (result: ProbeResult): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(failed(`${what} did not answer within ${describeMs(timeoutMs)}`)), timeoutMs);
    const request: ClientRequest = (url.startsWith('https:') ? httpsGet : httpGet)(
      url,
      options,
      ({ statusCode = 0 }) => {
        const isGood = statusCode >= 200 && statusCode < 400;
        end(isGood ? { ok: true } : failed(`${what} answered ${statusCode}`));
      },
    );
    request.on('error', (error) =>
      isHostFault(error) ? reject(new HostFault()) : end(failed(`${what}: ${reasonOf(error)}`)),
    );
  });
}

function askTcp(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  const what = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (result: ProbeResult): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(failed(`${what} did not accept within ${describeMs(timeoutMs)}`)), timeoutMs);
    socket.once('connect', () => end({ ok: true }));
    socket.on('error', (error) =>
      isHostFault(error) ? reject(new HostFault()) : end(failed(`${what}: ${reasonOf(error)}`)),
    );
  });
}

/** In a group of its own, which ends with the time-out as a whole. */
function askProgram([program = '', ...args]: string[], timeoutMs: number, context: ExecContext): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    let said = '';
    const child = spawn(program, args, { ...context, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer): void => void (said = (said + chunk.toString()).slice(-SAID_CHARACTERS));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const end = (result: ProbeResult): void => {
      clearTimeout(timer);
      // What it left behind may hold the pipes open.
      child.stdout.destroy();
      child.stderr.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => {
      killGroup(child);
      end(failed(`${program} took longer than ${describeMs(timeoutMs)}`));
    }, timeoutMs);
    child.on('error', (error) => {
      if (isHostFault(error)) reject(new HostFault());
      else end(failed(`${program} cannot be run: ${reasonOf(error)}`));
    });
    child.on('exit', (code, signal) => {
      const so = said.trim() === '' ? '' : `: ${said.trim().replaceAll(/\s+/g, ' ')}`;
      end(code === 0 ? { ok: true } : failed(`${program} ended with ${signal ?? `code ${code}`}${so}`));
    });
  });
}

/** Only while we have not seen its end: after that the number may be another's. */
function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // nobody is left in it
  }
}

const isHostFault = ({ code = '' }: Error & { code?: string }): boolean => HOST_FAULTS.has(code);

/** An error of several addresses has no message of its own. */
function reasonOf(error: Error & { code?: string }): string {
  return error.code ?? error.message;
}

/** What stands before `@` and behind `?` may be a secret; the reason is seen by all. */
function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
