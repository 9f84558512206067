/** The age of what a workflow has reported about itself. */
export interface News {
  run_id: string;
  sequence: number;
  at_ms: number;
}

/**
 * Is what a workflow tells newer than what is known? The order of arrival does not matter, as long as time goes on within a
 * run. A task of the workflow that died after it had reported is done again, perhaps with more to deal with: what it
 * tells then has no higher sequence, but comes later.
 */
export function isNewer(news: News, known: News): boolean {
  if (news.run_id === known.run_id) return news.sequence > known.sequence || news.at_ms > known.at_ms;
  if (news.at_ms !== known.at_ms) return news.at_ms > known.at_ms;
  if (news.sequence !== known.sequence) return news.sequence > known.sequence;
  return news.run_id > known.run_id;
}
