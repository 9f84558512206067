import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FENCE_KEPT_MS, custodyOf, evolve, isExpired } from '../../../src/custodian/journal/custody-state.ts';
import type { AgentEntry, AgentRecord, Intent, LiveRecord } from '../../../src/custodian/journal/custody-state.ts';
import { decodeJournal, decodeLine, encodeLine } from '../../../src/custodian/journal/journal-line.ts';

const AT = '2026-01-01T00:00:00.000Z';
const base = (generation: number) => ({
  generation,
  nonce: `n${generation}`,
  boot: 'b',
  ns: 'pid:[1]',
  at: AT,
  log: { path: `/l/${generation}.log`, max_bytes: 10, keep: 1 },
  stop: { signal: 'SIGTERM', grace_ms: 10 },
});
const intent = (generation: number, fence_before = 0): Intent => ({ ...base(generation), fence_before });
const live = (generation: number): LiveRecord => ({ ...base(generation), pid: 100 + generation, start: generation });
const agent = 'a';

const generation = fc.integer({ min: 1, max: 6 });
const record: fc.Arbitrary<AgentRecord> = fc.oneof(
  generation.map((g) => ({ kind: 'intent', agent, intent: intent(g) }) as const),
  generation.map((g) => ({ kind: 'live', agent, live: live(g) }) as const),
  generation.map((g) => ({ kind: 'kin', agent, generation: g, kin: [[g, g]] as [number, number][] }) as const),
  generation.map(
    (g) =>
      ({
        kind: 'stop',
        agent,
        stop: { generation: g, cause: 'operator', signal: 'SIGTERM', grace_ms: 1, at: AT },
      }) as const,
  ),
  generation.map((g) => ({ kind: 'signalled', agent, generation: g }) as const),
  generation.map(
    (g) =>
      ({
        kind: 'exit',
        agent,
        exit: { generation: g, code: 0, signal: null, cause: 'self', at: AT, ran_ms: 1 },
      }) as const,
  ),
  generation.map((g) => ({ kind: 'never', agent, generation: g }) as const),
  generation.map((g) => ({ kind: 'fence', agent, fence: g }) as const),
  fc.constant({ kind: 'forget', agent, at: AT } as const),
  fc.constant({ kind: 'order', agent, verb: 'stop', at: AT } as const),
  fc.constant({ kind: 'order_done', agent } as const),
);
const fold = (records: readonly AgentRecord[], from?: AgentEntry) =>
  records.reduce<AgentEntry | undefined>(evolve, from);

test('evolve never lowers a fence, and what lives is never above it', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 40 }), (records) => {
      let entry: AgentEntry | undefined;
      for (const one of records) {
        const before = entry?.fence ?? 0;
        entry = evolve(entry, one);
        const fence = entry?.fence ?? 0;
        expect(fence).toBeGreaterThanOrEqual(before);
        expect(entry?.live?.generation ?? 0).toBeLessThanOrEqual(fence);
        expect(entry?.last_exit?.generation ?? 0).toBeLessThanOrEqual(fence);
      }
    }),
  );
});

test('evolve gives the same from a snapshot as from all records', () => {
  fc.assert(
    fc.property(fc.array(record), fc.array(record), (before, after) => {
      const entry = fold(before);
      const snapshot: AgentRecord[] = entry ? [{ kind: 'entry', agent, entry }] : [];
      expect(fold([...snapshot, ...after])).toEqual(fold([...before, ...after]));
    }),
  );
});

test('evolve changes no entry in place', () => {
  fc.assert(
    fc.property(fc.array(record), record, (records, next) => {
      const entry = fold(records);
      const copy = structuredClone(entry);
      evolve(entry, next);
      expect(entry).toEqual(copy);
    }),
  );
});

test('evolve takes a fence back only for a start that never forked', () => {
  const before: AgentEntry = { fence: 3 };
  const begun = evolve(before, { kind: 'intent', agent, intent: intent(4, 3) });
  expect(begun?.fence).toBe(4);
  expect(evolve(begun, { kind: 'void', agent, generation: 4 })).toEqual(before);
  expect(
    evolve(evolve(undefined, { kind: 'intent', agent, intent: intent(1) }), { kind: 'void', agent, generation: 1 }),
  ).toBeUndefined();
  const started = evolve(begun, { kind: 'live', agent, live: live(4) });
  expect(evolve(started, { kind: 'void', agent, generation: 4 })?.fence).toBe(4);
});

test('evolve ignores the exit of an older generation but for nothing', () => {
  const entry = fold([
    { kind: 'live', agent, live: live(5) },
    { kind: 'exit', agent, exit: { generation: 2, code: 1, signal: null, cause: 'self', at: AT, ran_ms: 1 } },
  ]);
  expect(custodyOf(entry)).toMatchObject({ fence: 5, live: { generation: 5 }, last_exit: { generation: 2 } });
});

test('evolve keeps a delete, whatever is ordered after it', () => {
  const entry = fold([
    { kind: 'order', agent, verb: 'delete', at: AT },
    { kind: 'order', agent, verb: 'stop', at: AT },
  ]);
  expect(entry?.order?.verb).toBe('delete');
  expect(evolve(entry, { kind: 'order_done', agent })?.order).toBeUndefined();
});

test('evolve lets an order go with the life that it was for: the next of that name is not ended by it', () => {
  const entry = fold([
    { kind: 'exit', agent, exit: { generation: 2, code: 0, signal: null, cause: 'operator', at: AT, ran_ms: 1 } },
    { kind: 'order', agent, verb: 'delete', at: AT },
    { kind: 'forget', agent, at: AT },
  ]);
  expect(entry).toEqual({ fence: 2, forgotten_at: AT });
});

test('isExpired lets a fence go 30 days after the delete, unless something lives', () => {
  const entry = fold([
    { kind: 'fence', agent, fence: 2 },
    { kind: 'forget', agent, at: AT },
  ])!;
  const deletedMs = Date.parse(AT);
  expect(isExpired(entry, deletedMs + FENCE_KEPT_MS)).toBe(false);
  expect(isExpired(entry, deletedMs + FENCE_KEPT_MS + 1)).toBe(true);
  expect(isExpired({ ...entry, live: live(2) }, deletedMs + FENCE_KEPT_MS + 1)).toBe(false);
  expect(isExpired({ fence: 2 }, Infinity)).toBe(false);
});

test('decodeLine reads what encodeLine wrote', () => {
  fc.assert(
    fc.property(record, (one) => {
      expect(decodeLine(encodeLine(one).trimEnd())).toEqual({ kind: 'record', record: one });
    }),
  );
});

test('decodeJournal loses at most the last record to a torn end', () => {
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 10 }), fc.nat(), (records, cut) => {
      const text = records.map(encodeLine).join('');
      const length = cut % (text.length + 1);
      const complete = text.slice(0, length).split('\n').length - 1;
      const replay = decodeJournal(text.slice(0, length));
      expect(replay.damagedLines).toBe(0);
      // a line without its newline but whole otherwise counts
      expect([complete, complete + 1]).toContain(replay.records.length);
      expect(replay.records).toEqual(records.slice(0, replay.records.length));
    }),
  );
});

test('decodeJournal survives any bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(record.map(encodeLine), fc.string(), fc.constant('\n'))), (pieces) => {
      for (const one of decodeJournal(pieces.join('')).records) if (one.kind !== 'opened') evolve(undefined, one);
    }),
  );
});

test('decodeJournal raises the fence by what a damaged line in the middle still says', () => {
  const line = encodeLine({ kind: 'live', agent, live: live(7) }).replace('"nonce":"n7"', '"nonce":"n8"');
  const replay = decodeJournal(`${line}${encodeLine({ kind: 'order_done', agent })}`);
  expect(replay).toMatchObject({
    damagedLines: 1,
    records: [{ kind: 'fence', agent, fence: 7 }, { kind: 'order_done' }],
  });
});
