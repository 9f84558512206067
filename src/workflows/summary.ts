/** Temporal refuses summaries over 400 bytes, and a character may take three. */
const SUMMARY_CHARACTERS = 130;

export function summaryOf(text: string): string {
  return text.length > SUMMARY_CHARACTERS ? `${text.slice(0, SUMMARY_CHARACTERS - 1)}…` : text;
}
