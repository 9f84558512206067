import type { AnswerNote, AnswerStore, KeptAnswer } from '../../src/ports/answer-store.ts';

const DAY_MS = 24 * 3600_000;

/** A store of answers that forgets them with the process. */
export function memoryAnswers(): AnswerStore & { notes: Map<string, AnswerNote & { answer: KeptAnswer | null }> } {
  const notes = new Map<string, AnswerNote & { answer: KeptAnswer | null }>();
  const nameOf = (scope: string, key: string): string => JSON.stringify([scope, key]);
  return {
    notes,
    async beginAnswer(note) {
      const name = nameOf(note.scope, note.key);
      const before = notes.get(name);
      if (before !== undefined && before.at_ms >= note.at_ms - DAY_MS) return before;
      notes.set(name, { ...note, answer: null });
      return undefined;
    },
    async keepAnswer(scope, key, answer) {
      const note = notes.get(nameOf(scope, key));
      if (note) notes.set(nameOf(scope, key), { ...note, answer });
    },
    async dropAnswer(scope, key) {
      notes.delete(nameOf(scope, key));
    },
  };
}
