/** What keeps messages and state: opened before everything else that needs it, closed last. */
import type { Logger } from 'pino';
import type { LoadedConfig } from '../../config/config.ts';
import type { PluginsView } from '../../contract/daemon-view.ts';
import type { MessageBus } from '../../ports/message-bus.ts';
import type { StateStore } from '../../ports/state-store.ts';
import { openInfrastructure } from './plugins.ts';
import type { StateDir } from '../state-dir.ts';

/** For what is under way when the daemon ends. */
const CLOSE_MS = 5_000;

export interface MessageStores {
  bus: MessageBus;
  state: StateStore;
  facts(): PluginsView;
  /** Within its deadline; what could not be sent is counted in the log. */
  close(): Promise<void>;
}

/** @throws CodedError PLUGIN_FAILED; then nothing is left open */
export async function openMessageStores(
  config: LoadedConfig,
  stateDir: Pick<StateDir, 'file'>,
  log: Logger,
): Promise<MessageStores> {
  const { defaults, ageingMs, deadLettersKeptMs, topics, limitBytes } = config.messaging;
  const warn = (message: string): void => log.warn(message);
  const { bus, state } = await openInfrastructure({
    config,
    stateDir,
    baseDir: config.dir,
    busOptions: { defaults, ageingMs, deadLettersKeptMs, topics, limitBytes: limitBytes.messages, warn },
    stateOptions: { limitBytes: limitBytes.state, warn },
  });
  const close = async (what: string, store: MessageBus | StateStore): Promise<void> => {
    const { unsent } = await store.close(CLOSE_MS);
    if (unsent > 0) log.warn({ unsent }, `the ${what} was closed before everything was sent`);
    else log.info({ unsent }, `the ${what} is closed`);
  };
  return {
    bus,
    state,
    facts: () => {
      const { plugins } = config;
      return { bus: pluginView(plugins.bus.use, bus), state: pluginView(plugins.state.use, state) };
    },
    close: async () => {
      await Promise.all([close('message bus', bus), close('state store', state)]);
    },
  };
}

const pluginView = (use: string, { durability }: MessageBus | StateStore): PluginsView['bus'] => ({
  use,
  durability: durability.says,
  survives_power_loss: durability.survivesPowerLoss,
});
