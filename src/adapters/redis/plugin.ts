import { type InfrastructurePlugin, PLUGIN_API_VERSION } from '../../ports/infrastructure-plugin.ts';
import { RedisBus } from './bus.ts';
import { redisSettingsOf } from './settings.ts';
import { RedisState } from './state.ts';

/** `use: redis`, with `url` and `prefix`. */
export const redisPlugin: InfrastructurePlugin = {
  manifest: {
    name: 'redis',
    type: 'infrastructure',
    version: '1.0.0',
    api_version: PLUGIN_API_VERSION,
    provides: ['bus', 'state'],
  },
  openBus: async ({ settings, options }) => RedisBus.open(redisSettingsOf(settings), options),
  openState: async ({ settings, options }) => RedisState.open(redisSettingsOf(settings), options),
};
