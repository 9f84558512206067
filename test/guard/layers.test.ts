import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));
const MAX_LINES = 400;

/**
 * What each folder may import: folders or files of src, packages, or a prefix that ends with `*`. Its own folder is
 * always allowed. `packages` is every package and every module of Node.
 */
const ALLOWED: Record<string, string[]> = {
  domain: [],
  contract: ['domain'],
  ports: ['contract', 'domain'],
  trust: ['contract', 'domain', 'node:*'],
  schema: ['contract', 'domain', 'ports', 'zod', 'node:*'],
  custodian: ['domain', 'node:*'],
  workflows: ['contract', 'domain', '@temporalio/workflow', '@temporalio/common'],
  host: ['custodian/protocol.ts', 'custodian/address.ts', 'ports', 'contract', 'domain', 'node:*', 'packages'],
  adapters: ['ports', 'contract', 'domain', 'packages'],
  // What authors of plugins run, with whichever test runner.
  conformance: ['ports', 'contract', 'domain', 'node:*'],
  config: ['schema', 'trust', 'contract', 'domain', 'ports', 'packages'],
  activities: ['host', 'custodian/protocol.ts', 'ports', 'contract', 'domain', 'schema', 'trust', 'packages'],
  service: ['ports', 'contract', 'domain', 'schema', 'trust', 'packages'],
  api: ['service', 'ports', 'contract', 'domain', 'schema', 'trust', 'packages'],
  worker: ['activities', 'contract', 'domain', 'ports', 'packages'],
  // It speaks HTTP; `start` executes the daemon's entry, and what needs no running daemon is done in place.
  cli: [
    'daemon/main.ts',
    'daemon/background.ts',
    'daemon/process-mark.ts',
    'daemon/doctor/doctor.ts',
    'daemon/configuration/check-config.ts',
    'daemon/system-service/install-service.ts',
    'contract',
    'domain',
    'packages',
  ],
  // The composition root puts everything together.
  daemon: ['*'],
};

/** Imports of types vanish when the code is compiled: some may cross where values may not. */
const ALLOWED_TYPES: Record<string, string[]> = {
  workflows: ['activities'],
  worker: ['workflows'],
};

interface Import {
  specifier: string;
  typeOnly: boolean;
}

const STATEMENT = /(?:^|[\n;])\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?['"]([^'"\n]+)['"]/g;
const DYNAMIC = /\bimport\(\s*['"]([^'"\n]+)['"]/g;

function importsOf(source: string): Import[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
  const statements = [...code.matchAll(STATEMENT)].map(([, type, specifier]) => ({
    specifier: specifier as string,
    typeOnly: type !== undefined,
  }));
  const dynamic = [...code.matchAll(DYNAMIC)].map(([, specifier]) => ({
    specifier: specifier as string,
    typeOnly: false,
  }));
  return [...statements, ...dynamic];
}

/** `adapters/x.ts` for a module of ours, else the specifier. */
function targetOf(file: string, specifier: string): string {
  return specifier.startsWith('.') ? path.posix.join(path.posix.dirname(file), specifier) : specifier;
}

function isAllowed(target: string, own: boolean, rules: string[]): boolean {
  return rules.some((rule) => {
    if (rule === '*') return true;
    if (rule === 'packages') return !own;
    if (rule.endsWith('*')) return !own && target.startsWith(rule.slice(0, -1));
    if (!own) return target === rule || target.startsWith(`${rule}/`);
    return target === rule || target.startsWith(`${rule}/`);
  });
}

/** One sentence for each import that goes the wrong way. */
function violations(file: string, source: string): string[] {
  const layer = file.split('/')[0] as string;
  const rules = ALLOWED[layer];
  if (rules === undefined) return [`src/${file}: the folder ${layer} has no rule; add it to test/guard/layers.test.ts`];
  return importsOf(source).flatMap(({ specifier, typeOnly }) => {
    const own = specifier.startsWith('.');
    const target = targetOf(file, specifier);
    if (own && target.startsWith(`${layer}/`)) return [];
    if (own && target.startsWith('../'))
      return target === '../package.json' ? [] : [`src/${file} imports ${specifier}, outside src`];
    if (own && !/\.(?:ts|json)$/.test(specifier)) return [`src/${file} imports ${specifier} without its extension`];
    if (isAllowed(target, own, rules)) return [];
    if (typeOnly && isAllowed(target, own, ALLOWED_TYPES[layer] ?? [])) return [];
    return [`src/${file} imports ${target}; ${layer} may import ${rules.join(', ') || 'nothing'} only`];
  });
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((name) => name.split(path.sep).join('/'))
  .filter((name) => name.endsWith('.ts'))
  .toSorted((a, b) => (a < b ? -1 : 1));
const sourceOf = (file: string): string => readFileSync(path.join(SRC, file), 'utf8');

describe('src', () => {
  it('imports in the directions of the layers only', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(files.flatMap((file) => violations(file, sourceOf(file)))).toEqual([]);
  });

  it(`has no file of more than ${MAX_LINES} lines`, () => {
    const long = files.flatMap((file) => {
      const lines = sourceOf(file).split('\n').length - 1;
      return lines > MAX_LINES ? [`src/${file} has ${lines} lines; split it by concept`] : [];
    });
    expect(long).toEqual([]);
  });

  it('has kebab-case file names', () => {
    expect(files.filter((file) => !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*\/)*[a-z0-9]+(?:-[a-z0-9]+)*\.ts$/.test(file))).toEqual(
      [],
    );
  });
});

describe('the guard of the layers', () => {
  it.each([
    ['domain/x.ts', "import { a } from '../contract/errors.ts';"],
    ['domain/x.ts', "import 'node:fs';"],
    ['contract/x.ts', "export { a } from '../schema/fields.ts';"],
    ['workflows/x.ts', "import { readFile } from 'node:fs/promises';"],
    ['workflows/x.ts', "import { z } from 'zod';"],
    ['workflows/x.ts', "import { run } from '../activities/run.ts';"],
    ['workflows/x.ts', "const a = await import('../activities/run.ts');"],
    ['workflows/x.ts', "import {\n  a,\n  type B,\n} from '../host/host.ts';"],
    ['custodian/x.ts', "import pino from 'pino';"],
    ['custodian/x.ts', "import type { A } from '../contract/errors.ts';"],
    ['host/x.ts', "import { a } from '../custodian/tree.ts';"],
    ['schema/x.ts', "import { a } from '../trust/signature.ts';"],
    ['schema/x.ts', "import { parse } from 'yaml';"],
    ['adapters/x.ts', "import { a } from '../service/orchestrator.ts';"],
    ['cli/x.ts', "import { a } from '../service/orchestrator.ts';"],
    ['domain/x.ts', "import { a } from './y';\nimport { b } from '../elsewhere/z.ts';"],
    ['novel/x.ts', ''],
  ])('refuses in src/%s: %j', (file, source) => {
    expect(violations(file, source)).toHaveLength(1);
  });

  it.each([
    ['domain/x.ts', "import { a } from './y.ts';"],
    ['domain/x.ts', "// import { a } from 'zod';\n/* import 'zod'; */"],
    ['workflows/x.ts', "import type { Activities } from '../activities/index.ts';"],
    ['workflows/x.ts', "import { sleep } from '@temporalio/workflow';"],
    ['host/x.ts', "import type { Methods } from '../custodian/protocol.ts';"],
    ['trust/x.ts', "import { createHmac } from 'node:crypto';"],
    ['daemon/x.ts', "import { a } from '../anything/b.ts';"],
    ['api/x.ts', "import { a } from '../schema/b.ts';\nimport fastify from 'fastify';"],
  ])('accepts in src/%s: %j', (file, source) => {
    expect(violations(file, source)).toEqual([]);
  });
});
