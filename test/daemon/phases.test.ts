import { expect, test } from 'vitest';
import type { PhaseMark } from '../../src/contract/daemon-view.ts';
import { Phases } from '../../src/daemon/phases.ts';

test('Phases tells each when it begins, and takes supervise for a part of run', () => {
  const told: PhaseMark[] = [];
  const phases = new Phases((mark) => told.push(mark));
  const seen = [phases.current];
  for (const phase of ['start', 'run', 'supervise', 'shutdown'] as const) {
    phases.enter(phase);
    seen.push(phases.current);
  }
  expect(seen).toEqual(['init', 'start', 'run', 'run', 'shutdown']);
  expect(told.map(({ phase }) => phase)).toEqual(['init', 'start', 'run', 'supervise', 'shutdown']);
  expect(phases.marks).toEqual(told);
  for (const { at } of told) expect(Date.parse(at)).not.toBeNaN();
});
