import { CodedError } from '../contract/errors.ts';
import { isFull, takeToken, type Bucket, type BucketLimit } from './token-bucket.ts';

/** With more agents than this, buckets that have filled up again are forgotten. */
const MANY = 1000;

/** Refuses commands for an agent that come too fast: each is an entry in a history of limited length. */
export class CommandLimit {
  readonly #limit: BucketLimit;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: BucketLimit = { perSecond: 10, burst: 50 }) {
    this.#limit = limit;
  }

  /** @throws CodedError RATE_LIMITED */
  take(agentId: string, nowMs = performance.now()): void {
    const taken = takeToken(this.#buckets.get(agentId), nowMs, this.#limit);
    if (this.#buckets.size >= MANY) this.#forgetFull(nowMs);
    this.#buckets.set(agentId, taken.bucket);
    if (taken.allowed) return;
    const { perSecond, burst } = this.#limit;
    throw new CodedError(
      'RATE_LIMITED',
      `Too many commands for ${agentId}: the limit is ${perSecond} a second, ${burst} at once`,
      {
        agent_id: agentId,
        retry_after_ms: taken.retryAfterMs,
      },
    );
  }

  #forgetFull(nowMs: number): void {
    for (const [agentId, bucket] of this.#buckets) {
      if (isFull(bucket, nowMs, this.#limit)) this.#buckets.delete(agentId);
    }
  }
}
