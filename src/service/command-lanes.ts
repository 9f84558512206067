interface Queued {
  key: string | null;
  begun: boolean;
  answer: Promise<unknown>;
}

/**
 * Sends the commands of one agent one after the other, so that they take effect in the order in which they were asked
 * for. A command equal to the one that waits right before it shares that one's answer: a hundred impatient `stop`s are two.
 */
export class CommandLanes {
  /** The last command of each agent that has any under way. */
  readonly #last = new Map<string, Queued>();

  /** @param key commands of one agent with the same key are equal; null: never */
  send<T>(agentId: string, key: string | null, send: () => Promise<T>): Promise<T> {
    const before = this.#last.get(agentId);
    // The key names verb and arguments, so what it shares has the same type.
    if (before && !before.begun && key !== null && before.key === key) return before.answer as Promise<T>;
    const queued: Queued = { key, begun: false, answer: Promise.resolve() };
    const answer = this.#after(before, queued, send).finally(() => {
      if (this.#last.get(agentId) === queued) this.#last.delete(agentId);
    });
    queued.answer = answer;
    this.#last.set(agentId, queued);
    return answer;
  }

  /** Agents with commands under way. */
  get size(): number {
    return this.#last.size;
  }

  async #after<T>(before: Queued | undefined, own: Queued, send: () => Promise<T>): Promise<T> {
    await before?.answer.catch(() => undefined); // its own caller hears of that
    own.begun = true;
    return send();
  }
}
