import { mkdirSync } from 'node:fs';
import type { LoadedConfig, PluginSettings } from '../../config/config.ts';
import type { CheckedPlugin } from '../../contract/config-check.ts';
import { codeOf } from '../../contract/errors.ts';
import type { InfrastructurePlugin } from '../../ports/infrastructure-plugin.ts';
import type { BusOptions, MessageBus } from '../../ports/message-bus.ts';
import type { StateOptions, StateStore } from '../../ports/state-store.ts';
import { type Failure, failureOf, loadPlugin, type PluginKind, reasonOf } from './plugin-loading.ts';
import type { StateDir } from '../state-dir.ts';

/** A store that does not open in this time does not open: a server that hangs must not hold up the start for ever. */
const OPEN_LIMIT_MS = 10_000;

const BUS_METHODS = [
  'send',
  'receive',
  'ack',
  'nack',
  'extend',
  'release',
  'inFlight',
  'configure',
  'queue',
  'queues',
  'browse',
  'requeue',
  'discard',
  'deleteQueue',
  'publish',
  'events',
  'latestEvent',
  'topics',
  'watch',
  'close',
] as const satisfies readonly (keyof MessageBus)[];
const STATE_METHODS = [
  'get',
  'put',
  'delete',
  'list',
  'clear',
  'close',
] as const satisfies readonly (keyof StateStore)[];

export interface Infrastructure {
  bus: MessageBus;
  state: StateStore;
}

export interface OpenInfrastructureOptions {
  config: Pick<LoadedConfig, 'plugins'>;
  stateDir: Pick<StateDir, 'file'>;
  /** The folder of the configuration file: packages and paths of plugins are found from there. */
  baseDir: string;
  busOptions: BusOptions;
  stateOptions: StateOptions;
  /** @default 10 s for each */
  openLimitMs?: number;
}

/**
 * Opens the message bus and the state store that the configuration names.
 *
 * @throws CodedError PLUGIN_FAILED naming the plugin, what is wrong and the way out; then neither is left open
 */
export async function openInfrastructure(options: OpenInfrastructureOptions): Promise<Infrastructure> {
  const { config, baseDir, busOptions, stateOptions } = options;
  const { bus: busSettings, state: stateSettings } = config.plugins;
  // Both are found and checked before either is opened.
  const busPlugin = await loadPlugin('bus', busSettings, baseDir);
  const statePlugin = await loadPlugin('state', stateSettings, baseDir);
  const opening = [
    open<MessageBus>(
      options,
      { kind: 'bus', plugin: busPlugin, settings: busSettings, methods: BUS_METHODS },
      (context) => (busPlugin as Required<InfrastructurePlugin>).openBus({ ...context, options: busOptions }),
    ),
    open<StateStore>(
      options,
      { kind: 'state', plugin: statePlugin, settings: stateSettings, methods: STATE_METHODS },
      (context) => (statePlugin as Required<InfrastructurePlugin>).openState({ ...context, options: stateOptions }),
    ),
  ] as const;
  const [bus, state] = await Promise.allSettled(opening);
  if (bus.status === 'fulfilled' && state.status === 'fulfilled') return { bus: bus.value, state: state.value };
  await Promise.all([bus, state].flatMap((each) => (each.status === 'fulfilled' ? [closeQuietly(each.value)] : [])));
  throw (bus.status === 'rejected' ? bus : (state as PromiseRejectedResult)).reason;
}

/** What is wrong with the plugins of a configuration, as far as can be known without opening them; null where nothing is. */
export async function checkPlugins(
  { plugins }: Pick<LoadedConfig, 'plugins'>,
  baseDir: string,
): Promise<CheckedPlugin[]> {
  return Promise.all(
    (['bus', 'state'] as const).map(async (kind) => {
      const { use } = plugins[kind];
      const problem = await loadPlugin(kind, plugins[kind], baseDir).then(
        () => null,
        (error: unknown) => ({ code: codeOf(error) ?? 'INTERNAL', message: reasonOf(error) }),
      );
      return { kind, use, problem };
    }),
  );
}

interface Opening {
  kind: PluginKind;
  plugin: InfrastructurePlugin;
  settings: PluginSettings;
  methods: readonly string[];
}

async function open<Store extends MessageBus | StateStore>(
  { stateDir, openLimitMs = OPEN_LIMIT_MS }: OpenInfrastructureOptions,
  { kind, plugin, settings, methods }: Opening,
  work: (context: { settings: Record<string, unknown>; dataDir: string }) => Promise<Store>,
): Promise<Store> {
  const failed = failureOf(kind, settings.use);
  const dataDir = dataDirOf(stateDir, plugin, failed);
  const store = await within(
    openLimitMs,
    // A plugin may throw before it returns a promise.
    (async () => work({ settings: settings.settings, dataDir }))(),
    failed,
  );
  const missing = methods.filter(
    (method) => typeof (store as unknown as Record<string, unknown>)?.[method] !== 'function',
  );
  if (missing.length === 0) return store;
  await closeQuietly(store);
  throw failed(`what it has opened has no ${missing.join(', ')}; expected all functions of the port`);
}

/** Each plugin has a folder of its own, so that another one finds no files that it does not know. */
function dataDirOf(
  stateDir: OpenInfrastructureOptions['stateDir'],
  plugin: InfrastructurePlugin,
  failed: Failure,
): string {
  const dataDir = stateDir.file('plugins', encodeURIComponent(plugin.manifest.name));
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    return dataDir;
  } catch (error) {
    throw failed(`its folder ${dataDir} cannot be made: ${reasonOf(error)}`, error);
  }
}

async function within<Store extends MessageBus | StateStore>(
  limitMs: number,
  opening: Promise<Store>,
  failed: Failure,
): Promise<Store> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // What opens after all is not wanted any more.
      void opening.then(closeQuietly, () => undefined);
      reject(failed(`it has not opened within ${limitMs / 1000} s; see whether what it connects to answers`));
    }, limitMs);
  });
  try {
    return await Promise.race([
      opening.catch((error: unknown) => {
        throw codeOf(error) === 'PLUGIN_FAILED' ? error : failed(reasonOf(error), error);
      }),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}

async function closeQuietly(store: MessageBus | StateStore | undefined): Promise<void> {
  try {
    await store?.close(1000);
  } catch {
    // It is let go for another reason, which is reported.
  }
}
