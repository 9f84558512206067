import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** From the root of the clone, such as `docs/api.md`. */
  file: string;
  text: string;
}

/** All pages of the project: those at the top, and all under `docs` and `examples`. */
export const PAGES: Page[] = [
  ...filesUnder('.', false),
  ...['docs', 'examples'].flatMap((folder) => filesUnder(folder, true)),
].map((file) => ({ file, text: readFileSync(path.join(ROOT, file), 'utf8') }));

function filesUnder(folder: string, recursive: boolean): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
    .map((name) => path.join(folder, name))
    .toSorted();
}

export const page = (file: string): Page => {
  const found = PAGES.find((one) => one.file === file);
  if (found === undefined) throw new Error(`There is no ${file}`);
  return found;
};

/** Without blocks of code, in which nothing is a link or a heading. */
export const prose = ({ text }: Page): string => text.replaceAll(/^ *```[\s\S]*?^ *```$/gm, '');

/** What stands in back-ticks. */
export const codeSpans = (one: Page): string[] =>
  [...prose(one).matchAll(/`([^`\n]+)`/g)].map(([, code]) => code as string);

/** The lines of shell blocks, without comments; a line that goes on with a backslash is one. */
export const shellLines = ({ text }: Page): string[] =>
  [...text.matchAll(/^ *```(?:sh|bash|shell|console)\n([\s\S]*?)^ *```$/gm)]
    .flatMap(([, block]) => (block as string).replaceAll(/\\\n\s*/g, ' ').split('\n'))
    .map((line) => line.replace(/(?:^|\s)#\s.*$/, '').trim())
    .filter((line) => line !== '');

/** Everything that a reader may type. */
export const commands = (one: Page): string[] => [...codeSpans(one), ...shellLines(one)];

/** Places of what is wrong, for a failure that can be read. */
export function wrong(check: (one: Page) => string[]): string[] {
  return PAGES.flatMap((one) => check(one).map((what) => `${one.file}: ${what}`));
}
