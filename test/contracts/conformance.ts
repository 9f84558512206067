import { describe, it } from 'vitest';
import type { ConformanceCase } from '../../src/conformance/fixture.ts';

export interface CaseStore<Port, Options> {
  open: (options: Options) => Promise<Port>;
  /** After everything that was opened is closed. */
  dispose: () => Promise<void>;
}

/** Runs an exported conformance suite, each case on a store of its own; what a case has opened is closed after it. */
export function conformance<Port extends { close(): Promise<unknown> }, Options>(
  name: string,
  cases: readonly ConformanceCase<(options: Options) => Promise<Port>>[],
  newStore: () => Promise<CaseStore<Port, Options>>,
): void {
  describe(name, () => {
    for (const { name, run } of cases) it(name, () => runCase(run));
  });

  async function runCase(run: (make: (options: Options) => Promise<Port>) => Promise<void>): Promise<void> {
    const store = await newStore();
    const opened: Port[] = [];
    try {
      await run(async (options) => {
        const port = await store.open(options);
        opened.push(port);
        return port;
      });
    } finally {
      await Promise.all(opened.map((port) => port.close()));
      await store.dispose();
    }
  }
}
