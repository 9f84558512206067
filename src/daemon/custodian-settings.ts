import type { LoadedConfig } from '../config/config.ts';
import type { CustodyLink } from '../host/custody-link.ts';

/** Tells the custodian what concerns it of the configuration. One of an earlier version does not listen. */
export async function tellSettings(custody: Pick<CustodyLink, 'call'>, { logs }: LoadedConfig): Promise<void> {
  await custody.call('settings', { logs: { min_free_bytes: logs.minFreeBytes } }).catch(() => undefined);
}
