/** A page ends after about so much, however many entries were asked for: what is larger would hold up everybody else. */
export const PAGE_BYTES = 4 * 1024 * 1024;
/** So many are read at once on the way there. */
export const READ = 32;

/** Of values in a page, about. */
export const sizeOf = (values: readonly unknown[]): number =>
  values.reduce<number>((sum, value) => sum + JSON.stringify(value).length, 0);
