import { createColors } from 'picocolors';

/** Only for people, on a terminal that can; and not for those who have said that they want none. */
function isWanted(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (NO_COLOR) return false;
  if (FORCE_COLOR) return FORCE_COLOR !== '0';
  return stream.isTTY === true && TERM !== 'dumb';
}

export const colors = createColors(isWanted(process.stdout));
export const errorColors = createColors(isWanted(process.stderr));
