import path from 'node:path';
import { CodedError } from '../../contract/errors.ts';
import { type InfrastructurePlugin, PLUGIN_API_VERSION } from '../../ports/infrastructure-plugin.ts';
import { openSqliteBus } from './bus.ts';
import { openSqliteState } from './state.ts';

/**
 * What is in the box: a message bus and a state store that need nothing else. Two files, each with a thread of its own: a slow
 * write to one does not hold up the other, and each can be exchanged, moved or deleted alone.
 */
export const sqlitePlugin: InfrastructurePlugin = {
  manifest: {
    name: 'sqlite',
    type: 'infrastructure',
    version: '1.0.0',
    api_version: PLUGIN_API_VERSION,
    provides: ['bus', 'state'],
  },
  async openBus({ settings, dataDir, options }) {
    refuseSettings(settings);
    return openSqliteBus(path.join(dataDir, 'bus.db'), options);
  },
  async openState({ settings, dataDir, options }) {
    refuseSettings(settings);
    return openSqliteState(path.join(dataDir, 'state.db'), options);
  },
};

function refuseSettings(settings: Record<string, unknown>): void {
  const [name] = Object.keys(settings);
  if (name === undefined) return;
  throw new CodedError('PLUGIN_FAILED', `The plugin sqlite has no settings, and was given ${name}: remove it`, {});
}
