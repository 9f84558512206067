import { appendFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** `npm run chaos` runs the cases at full length; as part of `npm test` they are short. */
const IS_FULL = process.env['OPENSTARRY_CHAOS'] === 'full';

/** A row of the table that `scripts/chaos.mjs` prints. */
export interface ChaosRow {
  case: string;
  rounds: number;
  violations: string[];
  figures: string;
}

export class ChaosCase {
  rounds = 1;
  readonly violations: string[] = [];
  readonly #figures = new Map<string, string>();
  #samples = 0;
  #longestGapMs = 0;

  /** The first number in the short version, the second in the full one. */
  size(short: number, full: number): number {
    return IS_FULL ? full : short;
  }

  /** Notes a broken promise and goes on, so that one run shows all of them. */
  check(holds: boolean, otherwise: string): void {
    if (!holds) this.violations.push(otherwise);
  }

  figure(name: string, value: string | number): void {
    this.#figures.set(name, String(value));
  }

  /** `12 ms … 340 ms` of many measurements. */
  spread(name: string, values: number[], unit = 'ms'): void {
    const sorted = values.toSorted((a, b) => a - b);
    const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
    this.figure(name, `p50 ${at(0.5)}, max ${at(1)} ${unit}`);
  }

  /** How closely the witness of a trial has looked; a case may have several trials. */
  watched(samples: number, longestGapMs: number): void {
    this.#samples += samples;
    this.#longestGapMs = Math.max(this.#longestGapMs, longestGapMs);
  }

  row(name: string): ChaosRow {
    const figures = [...this.#figures].map(([figure, value]) => `${figure}: ${value}`);
    if (this.#samples > 0) figures.push(`samples: ${this.#samples}, gap ≤ ${this.#longestGapMs} ms`);
    return { case: name, rounds: this.rounds, violations: this.violations, figures: figures.join('; ') };
  }
}

interface Options {
  timeoutMs?: number;
  /** Left out of `npm test`: too long, or too much like one that is in it. */
  isLong?: boolean;
  /** Why it cannot be run here. */
  skip?: string | undefined;
}

/** A test that is also a row of the table. */
export function chaos(name: string, body: (c: ChaosCase) => Promise<void>, options: Options = {}): void {
  if (options.isLong && !IS_FULL) return;
  if (options.skip !== undefined) {
    tell({ case: name, rounds: 0, violations: [], figures: `skipped: ${options.skip}` });
    it.skipIf(true)(`${name} (${options.skip})`, () => undefined);
    return;
  }
  it(
    name,
    async () => {
      const c = new ChaosCase();
      try {
        await body(c);
      } catch (error) {
        c.violations.push(error instanceof Error ? error.message : String(error));
        throw error;
      } finally {
        tell(c.row(expect.getState().currentTestName?.replace(' > ', ' ') ?? name));
      }
      expect(c.violations).toEqual([]);
    },
    options.timeoutMs ?? (IS_FULL ? 900_000 : 180_000),
  );
}

function tell(row: ChaosRow): void {
  const file = process.env['OPENSTARRY_CHAOS_REPORT'];
  if (file) appendFileSync(file, `${JSON.stringify(row)}\n`);
}
