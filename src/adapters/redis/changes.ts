import { CodedError } from '../../contract/errors.ts';
import type { BusChange } from '../../ports/message-bus.ts';
import { RedisLink, reasonOf } from './link.ts';
import type { RedisSettings } from './settings.ts';

/** A connection that only listens is never seen to be dead unless it is asked. */
const PING_MS = 5000;

export interface RedisChangesOptions {
  settings: RedisSettings;
  /** Marks what this bus has done itself: its watchers are notified at once, without Redis. */
  origin: string;
  warn: (message: string) => void;
  /** The connection was lost and is back: anything may have changed meanwhile. */
  onReturn: () => void;
}

/** Tells watchers what has changed: by this bus, and by others on the same store, over a connection of its own. */
export class RedisChanges {
  private readonly options: RedisChangesOptions;
  private readonly link: RedisLink;
  private readonly listeners = new Set<(change: BusChange) => void>();
  private pings: NodeJS.Timeout | undefined;

  constructor(options: RedisChangesOptions) {
    this.options = options;
    const { settings, onReturn } = options;
    this.link = new RedisLink({
      url: settings.url,
      name: 'openstarry-changes',
      unavailable: (says, cause) => new CodedError('BUS_UNAVAILABLE', says, {}, cause),
      onUp: (client) => client.subscribe(`${settings.base}changes`, (message) => this.hear(message)),
      onReturn,
      // The other connection tells people of the same trouble.
      onDown: () => undefined,
    });
  }

  async open(): Promise<void> {
    await this.link.open();
    this.pings = setInterval(() => void this.link.command(['PING']).catch(() => undefined), PING_MS);
  }

  watch(listener: (change: BusChange) => void): () => void {
    // One entry a call: the same function may watch twice.
    const entry = (change: BusChange): void => listener(change);
    this.listeners.add(entry);
    return () => void this.listeners.delete(entry);
  }

  /** @param changes as the scripts write them: `q` before the name of a queue, `t` before a topic */
  tell(changes: readonly string[]): void {
    for (const change of changes) {
      const name = change.slice(1);
      this.tellOf(change.startsWith('q') ? { kind: 'queue', queue: name } : { kind: 'event', topic: name });
    }
  }

  close(): void {
    clearInterval(this.pings);
    this.link.close();
    this.listeners.clear();
  }

  private hear(message: string): void {
    const [origin, ...changes] = message.split('\n');
    if (origin !== this.options.origin) this.tell(changes);
  }

  private tellOf(change: BusChange): void {
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        this.options.warn(`A watcher of the message bus failed: ${reasonOf(error)}`);
      }
    }
  }
}
