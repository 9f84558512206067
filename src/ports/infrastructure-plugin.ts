import type { BusOptions, MessageBus } from './message-bus.ts';
import type { StateOptions, StateStore } from './state-store.ts';

/** The version of the ports: a plugin made for another one is refused. */
export const PLUGIN_API_VERSION = 1;

/**
 * What a package of `type: infrastructure` exports as its default: it brings a message bus, a state store or both.
 * Those in the box (`sqlite`, `redis`) are such plugins, too.
 */
export interface InfrastructurePlugin {
  manifest: PluginManifest;
  /** @throws with a message for people; the daemon does not start then */
  openBus?(context: PluginContext<BusOptions>): Promise<MessageBus>;
  openState?(context: PluginContext<StateOptions>): Promise<StateStore>;
}

export interface PluginManifest {
  /** As in `use:`. */
  name: string;
  type: 'infrastructure';
  version: string;
  /** `PLUGIN_API_VERSION` of the daemon it was made for. */
  api_version: number;
  provides: readonly ('bus' | 'state')[];
}

export interface PluginContext<Options> {
  /** What stands beside `use:` in the configuration, references to the environment resolved. */
  settings: Record<string, unknown>;
  /** For a store that is embedded: files of it go here. It exists, and nobody else may read it. */
  dataDir: string;
  options: Options;
}
