import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { DaemonFile } from '../contract/daemon-view.ts';
import { CodedError } from '../contract/errors.ts';
import { isAlive } from '../daemon/process-mark.ts';

export interface AddressOptions {
  /** Of a daemon elsewhere, such as `http://127.0.0.1:5050`. */
  url?: string;
  tokenFile?: string;
}

export interface DaemonAddress {
  url: string;
  token: string;
  /** Of a daemon on this machine; null behind `--url`. */
  pid: number | null;
}

/** Where the daemon of this user keeps its state. */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const home = env['OPENSTARRY_HOME'] || path.join(os.homedir(), '.openstarry');
  return path.join(path.resolve(home), 'orchestrator');
}

/** @throws CodedError DAEMON_NOT_RUNNING, UNAUTHORIZED if the token cannot be read */
export function findDaemon(options: AddressOptions, directory = stateDirectory()): DaemonAddress {
  const tokenFile = options.tokenFile ?? path.join(directory, 'token');
  if (options.url !== undefined) return { url: checkedUrl(options.url), token: readToken(tokenFile), pid: null };
  const file = path.join(directory, 'daemon.json');
  const daemon = readDaemonFile(file);
  if (daemon === undefined) throw new CodedError('DAEMON_NOT_RUNNING', `No daemon is running: there is no ${file}`);
  if (!isAlive(daemon.pid)) {
    const message = `The daemon is gone (pid ${daemon.pid} of ${file}); agents that it has started run on until the next one takes them over`;
    throw new CodedError('DAEMON_NOT_RUNNING', message, { pid: daemon.pid });
  }
  if (daemon.ports.api === undefined)
    throw new CodedError(
      'DAEMON_NOT_RUNNING',
      `The daemon (pid ${daemon.pid}) is in phase ${daemon.phase} and does not listen yet; try again in a moment`,
    );
  return { url: `http://127.0.0.1:${daemon.ports.api}`, token: readToken(tokenFile), pid: daemon.pid };
}

function readDaemonFile(file: string): DaemonFile | undefined {
  try {
    const data = JSON.parse(readFileSync(file, 'utf8')) as Partial<DaemonFile> | null;
    if (typeof data?.pid !== 'number') return undefined;
    const { pid, version = 'unknown', phase = 'run', ports = {} } = data;
    return { pid, version, phase, ports };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw new CodedError('DAEMON_NOT_RUNNING', `Cannot read ${file}: ${(error as Error).message}`, {}, error);
  }
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CodedError(
      'UNAUTHORIZED',
      `Cannot read the token: ${(error as Error).message}`,
      { token_file: file },
      error,
    );
  }
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return text.replace(/\/+$/, '');
  throw new CodedError(
    'INVALID_REQUEST',
    `--url must be an http or https URL, such as http://127.0.0.1:5050; the value is ${text}`,
  );
}
