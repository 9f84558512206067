/** A rate limit with a burst: a bucket of tokens that fills slowly. Pure: the time is an argument. */
export interface BucketLimit {
  perSecond: number;
  burst: number;
}

export interface Bucket {
  tokens: number;
  atMs: number;
}

export type Take = { allowed: true; bucket: Bucket } | { allowed: false; bucket: Bucket; retryAfterMs: number };

/** Takes one token. No bucket yet is a full one. */
export function takeToken(before: Bucket | undefined, nowMs: number, limit: BucketLimit): Take {
  const tokens = before ? filled(before, nowMs, limit) : limit.burst;
  if (tokens >= 1) return { allowed: true, bucket: { tokens: tokens - 1, atMs: nowMs } };
  const retryAfterMs = Math.ceil(((1 - tokens) * 1000) / limit.perSecond);
  return { allowed: false, bucket: { tokens, atMs: nowMs }, retryAfterMs };
}

/** True if nothing is lost by forgetting the bucket. */
export function isFull(bucket: Bucket, nowMs: number, limit: BucketLimit): boolean {
  return filled(bucket, nowMs, limit) >= limit.burst;
}

function filled({ tokens, atMs }: Bucket, nowMs: number, { perSecond, burst }: BucketLimit): number {
  return Math.min(burst, tokens + (Math.max(0, nowMs - atMs) / 1000) * perSecond);
}
