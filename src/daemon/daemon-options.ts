import type { Logger } from 'pino';
import type { LoadedConfig } from '../config/config.ts';
import type { StateDir } from './state-dir.ts';

export interface DaemonOptions {
  version: string;
  config: LoadedConfig;
  /** Whether its file may take over the agents of another one. */
  switchConfig: boolean;
  stateDir: StateDir;
  log: Logger;
  env: NodeJS.ProcessEnv;
  /** Tells people what takes long. */
  say: (line: string) => void;
}

export type DaemonEnd =
  | { kind: 'stopped' }
  | { kind: 'fail-stop'; reason: string }
  /** Something may be left running. */
  | { kind: 'failed'; reason: string };
