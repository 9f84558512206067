import { incarnationOf } from '../domain/ids.ts';
import type { Caller } from './caller.ts';

/** For what goes on for as long as the process that has asked for it, such as a stream of events. */
export class IncarnationEnds {
  readonly #followers = new Map<string, Set<() => void>>();

  /**
   * Calls `onEnd` when the caller's process has ended. Follow before the caller is admitted: who had ended before is refused
   * then. @returns what ends it
   */
  follow(caller: Caller, onEnd: () => void): () => void {
    if (caller.kind === 'admin') return () => undefined;
    const name = incarnationOf(caller.agent_id, caller.generation);
    const followers = this.#followers.get(name) ?? new Set();
    this.#followers.set(name, followers);
    const entry = (): void => onEnd();
    followers.add(entry);
    return () => {
      followers.delete(entry);
      if (followers.size === 0 && this.#followers.get(name) === followers) this.#followers.delete(name);
    };
  }

  /** It has ended. */
  tell(agentId: string, generation: number): void {
    const name = incarnationOf(agentId, generation);
    const followers = this.#followers.get(name) ?? [];
    this.#followers.delete(name);
    for (const onEnd of followers) onEnd();
  }
}
