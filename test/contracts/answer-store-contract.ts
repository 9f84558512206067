import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerNote, AnswerStore } from '../../src/ports/answer-store.ts';

const DAY_MS = 24 * 3600_000;

/** What every store of answers must do, whatever it is kept in. */
export function answerStoreContract(
  name: string,
  make: () => Promise<{ store: AnswerStore; dispose: () => Promise<void> }>,
): void {
  describe(name, () => {
    let store: AnswerStore;
    let dispose: () => Promise<void>;
    beforeEach(async () => {
      ({ store, dispose } = await make());
    });
    afterEach(() => dispose());

    const note = (more: Partial<AnswerNote> = {}): AnswerNote => ({
      scope: 'admin',
      key: 'k',
      request: 'digest',
      request_id: 'r1',
      at_ms: 5 * DAY_MS,
      ...more,
    });
    const answer = { status: 201, body: '{"a":1}', location: '/agents/a' };

    it('beginAnswer gives nothing the first time, and then the note that stands', async () => {
      expect(await store.beginAnswer(note())).toBeUndefined();
      const again = note({ request: 'other', request_id: 'r2', at_ms: 5 * DAY_MS + 1 });
      expect(await store.beginAnswer(again)).toEqual({ ...note(), answer: null });
      expect(await store.beginAnswer(note({ scope: 'agent a' }))).toBeUndefined();
      expect(await store.beginAnswer(note({ key: 'K' }))).toBeUndefined();
    });

    it('beginAnswer called twice at once lets one through', async () => {
      const both = await Promise.all([store.beginAnswer(note()), store.beginAnswer(note())]);
      expect(both.filter((before) => before === undefined)).toHaveLength(1);
    });

    it('keepAnswer keeps the answer with its note', async () => {
      await store.beginAnswer(note());
      await store.keepAnswer('admin', 'k', answer);
      expect(await store.beginAnswer(note({ request_id: 'r2' }))).toEqual({ ...note(), answer });
    });

    it('dropAnswer frees the key', async () => {
      await store.beginAnswer(note());
      await store.dropAnswer('admin', 'k');
      expect(await store.beginAnswer(note())).toBeUndefined();
    });

    it('beginAnswer takes no notice of what is older than a day', async () => {
      await store.beginAnswer(note());
      await store.keepAnswer('admin', 'k', answer);
      expect(await store.beginAnswer(note({ at_ms: 6 * DAY_MS }))).toMatchObject({ answer });
      expect(await store.beginAnswer(note({ at_ms: 6 * DAY_MS + 1 }))).toBeUndefined();
      expect(await store.beginAnswer(note({ at_ms: 6 * DAY_MS + 2 }))).toMatchObject({ answer: null });
    });
  });
}
