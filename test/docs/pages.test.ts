import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { isErrorCode } from '../../src/contract/errors.ts';
import { codeSpans, commands, page, PAGES, prose, ROOT, wrong, type Page } from './pages.ts';

const MAX_IMAGE_BYTES = 200_000;

const linksOf = (one: Page): string[] =>
  [...prose(one).matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map(([, target]) => target as string);

const isExternal = (target: string): boolean => /^[a-z]+:/i.test(target);

/** As GitHub makes them of headings. */
function anchorsOf(one: Page): Set<string> {
  const headings = [...prose(one).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading]) => heading as string);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function brokenLink({ file }: Page, target: string): string | undefined {
  const [relative = '', anchor] = target.split('#');
  const aim = relative === '' ? file : path.join(path.dirname(file), relative);
  if (!existsSync(path.join(ROOT, aim))) return `${target} leads nowhere`;
  if (anchor === undefined || !aim.endsWith('.md')) return undefined;
  const there = PAGES.find((one) => one.file === aim);
  return there && anchorsOf(there).has(anchor) ? undefined : `${target}: ${aim} has no heading #${anchor}`;
}

describe('links', () => {
  it('lead somewhere, to a heading that is there', () => {
    const broken = wrong((one) =>
      linksOf(one)
        .filter((target) => !isExternal(target))
        .flatMap((target) => brokenLink(one, target) ?? []),
    );
    expect(broken).toEqual([]);
  });

  it('of the README reach every page', () => {
    const reached = new Set(linksOf(page('README.md')).map((target) => target.split('#')[0]));
    const pages = PAGES.map(({ file }) => file).filter((file) => file.startsWith('docs/'));
    expect(pages.filter((file) => !reached.has(file))).toEqual([]);
  });

  it('show pictures that are small', () => {
    const folder = path.join(ROOT, 'docs', 'images');
    const heavy = readdirSync(folder).filter((name) => statSync(path.join(folder, name)).size > MAX_IMAGE_BYTES);
    expect(heavy).toEqual([]);
  });
});

describe('what the pages name', () => {
  it('are files and folders that exist', () => {
    const missing = wrong((one) =>
      codeSpans(one)
        .filter((code) => /^(?:src|test|scripts|docs|examples|bin|tools|bench|sdk|schema)\/[\w./@-]*$/.test(code))
        .filter((name) => !existsSync(path.join(ROOT, name))),
    );
    expect(missing).toEqual([]);
  });

  it('are scripts of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const unknown = wrong((one) =>
      commands(one)
        .flatMap((command) => [...command.matchAll(/(?:^|[\s;(])npm (run [\w:-]+|start|test)\b/g)])
        .map(([, name]) => (name as string).replace('run ', ''))
        .filter((name) => !Object.hasOwn(scripts, name)),
    );
    expect(unknown).toEqual([]);
    expect(commands(page('README.md'))).toEqual(expect.arrayContaining(['npm start', 'npm test']));
  });

  it('are codes that can be met, and variables that are read', () => {
    const sources = ['src', 'scripts', 'examples', 'sdk']
      .flatMap((folder) =>
        readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
          path.join(ROOT, folder, name),
        ),
      )
      .filter((file) => /\.(?:ts|mjs|py|yaml)$/.test(file))
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n');
    const unknown = wrong((one) =>
      codeSpans(one)
        .filter((code) => /^[A-Z]+(?:_[A-Z]+)+$/.test(code))
        .filter((code) => !isErrorCode(code) && !new RegExp(`\\b${code}\\b`).test(sources)),
    );
    expect(unknown).toEqual([]);
  });
});

describe('the README', () => {
  it('leads from each promise to a test', () => {
    const rows = [...page('README.md').text.matchAll(/^\| (P\d+) \| (.+) \|$/gm)];
    expect(rows.map(([, promise]) => promise)).toEqual(Array.from({ length: 10 }, (_, n) => `P${n + 1}`));
    const unproved = rows
      .filter(([, , row]) => !/\]\(test\/[\w./-]+\.test\.ts\)/.test(row as string))
      .map(([, promise]) => promise);
    expect(unproved).toEqual([]);
  });
});
