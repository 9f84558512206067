import type { Command } from 'commander';
import { findDaemon } from './daemon-address.ts';
import { DaemonClient } from './daemon-client.ts';

interface GlobalOptions {
  json?: boolean;
  url?: string;
  tokenFile?: string;
}

/** What every command needs: the daemon, and how to print. */
export interface Context {
  json: boolean;
  daemon: DaemonClient;
}

export function contextOf(command: Command): Context {
  const { json = false, url, tokenFile } = command.optsWithGlobals<GlobalOptions>();
  const address = findDaemon({
    ...(url === undefined ? {} : { url }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  });
  return { json, daemon: new DaemonClient(address) };
}

/** For options that may be repeated. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}
