/** The answers to requests with an `Idempotency-Key`, so that the same request sent again gets the same one. */
export interface AnswerStore {
  /**
   * Notes that a request is under way, unless there is a note of its key already: that one is given back, and stays.
   * Notes older than a day count for nothing.
   */
  beginAnswer(note: AnswerNote): Promise<(AnswerNote & { answer: KeptAnswer | null }) | undefined>;
  keepAnswer(scope: string, key: string, answer: KeptAnswer): Promise<void>;
  /** The request has had no effect: its key is free again. */
  dropAnswer(scope: string, key: string): Promise<void>;
}

export interface AnswerNote {
  /** Whose keys they are. */
  scope: string;
  key: string;
  /** Digest of method, path, query and body. */
  request: string;
  request_id: string;
  at_ms: number;
}

export interface KeptAnswer {
  status: number;
  body: string;
  location: string | null;
}
