import { expect, test } from 'vitest';
import { isFull, takeToken, type Bucket } from '../../src/api/token-bucket.ts';

const limit = { perSecond: 10, burst: 50 };

/** How many of `count` calls at the same time are allowed. */
function burst(
  before: Bucket | undefined,
  nowMs: number,
  count: number,
): { allowed: number; bucket: Bucket | undefined } {
  let bucket = before;
  let allowed = 0;
  for (let call = 0; call < count; call += 1) {
    const taken = takeToken(bucket, nowMs, limit);
    bucket = taken.bucket;
    if (taken.allowed) allowed += 1;
  }
  return { allowed, bucket };
}

test('takeToken allows the burst at once, then the rate', () => {
  const first = burst(undefined, 0, 80);
  expect(first.allowed).toBe(50);
  const second = burst(first.bucket, 1000, 80);
  expect(second.allowed).toBe(10);
  expect(burst(second.bucket, 60_000, 80).allowed).toBe(50);
});

test('takeToken says when the next one is allowed', () => {
  const { bucket } = burst(undefined, 0, 50);
  const refused = takeToken(bucket, 0, limit);
  expect(refused).toMatchObject({ allowed: false, retryAfterMs: 100 });
  expect(takeToken(bucket, 100, limit).allowed).toBe(true);
});

test('takeToken takes nothing for a refusal, and bears a clock that goes back', () => {
  const { bucket } = burst(undefined, 1000, 60);
  expect(takeToken(bucket, 1100, limit).allowed).toBe(true);
  expect(takeToken(bucket, 0, limit).allowed).toBe(false);
});

test('isFull tells when a bucket is as good as none', () => {
  const { bucket } = takeToken(undefined, 0, limit);
  expect(isFull(bucket, 50, limit)).toBe(false);
  expect(isFull(bucket, 100, limit)).toBe(true);
});
