/** What the API shows of a record. */
export type Shown<T> = T & {
  /** Temporal cannot be reached: this may have been overtaken. */
  stale: boolean;
};
