import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeliveryNotes } from '../../src/ports/delivery-notes.ts';
import type { RecordRow, Records, RecordUpdate } from '../../src/ports/records.ts';

export interface RecordsFixture {
  records: Records & DeliveryNotes;
  dispose: () => Promise<void>;
}

export const recordOf = (more: Partial<RecordUpdate> = {}): RecordUpdate => ({
  kind: 'incident',
  id: 'i1',
  agent_id: 'a',
  state: 'open',
  done: false,
  run_id: 'run-1',
  sequence: 1,
  at_ms: 1000,
  data: { summary: 'because "quoted" \u{1f680} \ud800 \0 end', list: [1, null, true] },
  ...more,
});

/** What all records must do, whatever they are kept in. */
export function recordsContract(name: string, make: () => Promise<RecordsFixture>): void {
  describe(name, () => {
    let fixture: RecordsFixture;
    let records: RecordsFixture['records'];
    beforeEach(async () => {
      fixture = await make();
      records = fixture.records;
    });
    afterEach(() => fixture.dispose());

    const ids = async (request: Partial<Parameters<Records['listRecords']>[0]> = {}): Promise<string[]> =>
      (await records.listRecords({ kind: 'incident', limit: 100, ...request })).map(({ id }) => id);

    it('getRecord gives back what was published, and its position', async () => {
      await records.publishRecord(recordOf());
      expect(await records.getRecord('incident', 'i1')).toEqual({
        ...recordOf(),
        position: expect.any(Number) as number,
      });
      expect(await records.getRecord('run', 'i1')).toBeUndefined();
      expect(await records.getRecord('incident', 'i2')).toBeUndefined();
    });

    it('publishRecord ignores what the same run told before, and takes a higher sequence, whatever the clock says', async () => {
      await records.publishRecord(recordOf({ sequence: 5 }));
      await records.publishRecord(recordOf({ sequence: 5, state: 'again' }));
      await records.publishRecord(recordOf({ sequence: 4, at_ms: 999, state: 'late' }));
      expect((await records.getRecord('incident', 'i1'))?.state).toBe('open');
      await records.publishRecord(recordOf({ sequence: 6, at_ms: 1, state: 'next' }));
      expect((await records.getRecord('incident', 'i1'))?.state).toBe('next');
    });

    // The daemon died after the news and before its task was done: it is done again, with what has come meanwhile.
    it('publishRecord takes later news of the same run, whatever the sequence says', async () => {
      await records.publishRecord(recordOf({ sequence: 5, state: 'of a task that died' }));
      await records.publishRecord(recordOf({ sequence: 4, at_ms: 1001, state: 'acknowledged' }));
      await records.publishRecord(recordOf({ sequence: 5, at_ms: 1002, state: 'resolved', done: true }));
      expect(await records.getRecord('incident', 'i1')).toMatchObject({ sequence: 5, state: 'resolved', done: true });
    });

    it('publishRecord takes the newer of two runs by time', async () => {
      await records.publishRecord(recordOf({ run_id: 'old', sequence: 50 }));
      await records.publishRecord(recordOf({ run_id: 'new', sequence: 1, at_ms: 1001 }));
      await records.publishRecord(recordOf({ run_id: 'old', sequence: 51 }));
      expect((await records.getRecord('incident', 'i1'))?.run_id).toBe('new');
    });

    it('comes to the same whatever the order of arrival', async () => {
      const news = fc.record({
        run_id: fc.constantFrom('r1', 'r2', 'r3'),
        sequence: fc.nat(5),
        at_ms: fc.nat(3),
      });
      let n = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(news, { minLength: 2, maxLength: 6 }), async (all) => {
          // Within a run time goes on with the sequence.
          const runs = new Map(['r1', 'r2', 'r3'].map((run, i) => [run, i]));
          const updates = all.map((one) => ({ ...one, at_ms: (runs.get(one.run_id) ?? 0) * 10 + one.sequence }));
          n += 1;
          const [there, back] = [`t${n}`, `b${n}`];
          for (const one of updates) await records.publishRecord(recordOf({ ...one, id: there }));
          for (const one of updates.toReversed()) await records.publishRecord(recordOf({ ...one, id: back }));
          const [a, b] = [await records.getRecord('incident', there), await records.getRecord('incident', back)];
          expect([a?.run_id, a?.sequence]).toEqual([b?.run_id, b?.sequence]);
        }),
        { numRuns: 50 },
      );
    });

    it('listRecords gives the latest first, by their first publication, and pages', async () => {
      for (const id of ['i1', 'i2', 'i3']) await records.publishRecord(recordOf({ id }));
      await records.publishRecord(recordOf({ id: 'i1', sequence: 2 }));
      expect(await ids()).toEqual(['i3', 'i2', 'i1']);
      const page = await records.listRecords({ kind: 'incident', limit: 2 });
      expect(page.map(({ id }) => id)).toEqual(['i3', 'i2']);
      expect(await ids({ before: page[1]!.position })).toEqual(['i1']);
    });

    it('listRecords selects by kind, state, agent and whether they are done', async () => {
      await records.publishRecord(recordOf({ id: 'i1' }));
      await records.publishRecord(recordOf({ id: 'i2', state: 'resolved', done: true }));
      await records.publishRecord(recordOf({ id: 'i3', agent_id: null }));
      await records.publishRecord(recordOf({ id: 'r1', kind: 'run' }));
      expect(await ids({ done: false })).toEqual(['i3', 'i1']);
      expect(await ids({ done: true })).toEqual(['i2']);
      expect(await ids({ state: 'resolved' })).toEqual(['i2']);
      expect(await ids({ agent_id: 'a', done: false })).toEqual(['i1']);
      expect(await ids({ kind: 'run' })).toEqual(['r1']);
    });

    it('subscribeRecords tells of every change that was recorded, in order, and of nothing else', async () => {
      const rows: RecordRow[] = [];
      const end = records.subscribeRecords((row) => rows.push(row));
      await records.publishRecord(recordOf());
      await records.publishRecord(recordOf());
      await records.publishRecord(recordOf({ sequence: 2, state: 'acknowledged' }));
      end();
      await records.publishRecord(recordOf({ sequence: 3, state: 'resolved' }));
      expect(rows.map(({ state, position }) => [state, position])).toEqual([
        ['open', rows[0]?.position],
        ['acknowledged', rows[0]?.position],
      ]);
    });

    it('isDelivered knows what noteDelivered has noted, also twice', async () => {
      expect(await records.isDelivered('d1')).toBe(false);
      await records.noteDelivered('d1', 1000);
      await records.noteDelivered('d1', 2000);
      expect([await records.isDelivered('d1'), await records.isDelivered('d2')]).toEqual([true, false]);
    });
  });
}
