// src → dist: the modules, the custodian as one file, the workflow bundle. Each step is skipped while nothing that it
// reads has changed. Types are not checked here (`npm run check` does): a build is wanted in seconds.
// Node's own modules only at the top; the tools are imported once they are installed.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { withBuildLock } from './build-lock.mjs';
import { main, progress, readJson, ROOT, run, SetupError, setUp, tail } from './setup.mjs';

/**
 * The workflow bundle is parsed into every workflow worker: growth beyond this is an import that does not belong. Of its
 * code, without the source map that it carries; zod alone would add 300 kB.
 */
export const MAX_BUNDLE_BYTES = 1_100_000;

const src = (...parts) => path.join(ROOT, 'src', ...parts);
const sdk = (...parts) => path.join(ROOT, 'sdk', 'typescript', ...parts);
const dist = (...parts) => path.join(ROOT, 'dist', ...parts);
const STAMP = dist('.build-stamp');
const TOOLCHAIN = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.mjs'].map((file) =>
  path.join(ROOT, file),
);

/** name → what it reads, what it makes, how. A step whose entry does not exist is left out. */
const STEPS = [
  { name: 'modules', entry: src(), reads: [src()], makes: [], build: compileModules },
  {
    name: 'sdk',
    entry: sdk('src', 'index.ts'),
    reads: [sdk('src')],
    makes: [sdk('dist', 'index.js')],
    build: compileSdk,
  },
  {
    name: 'custodian',
    entry: src('custodian', 'main.ts'),
    reads: ['custodian', 'domain', 'contract'].map((folder) => src(folder)),
    makes: [dist('custodian.mjs')],
    build: bundleCustodian,
  },
  {
    name: 'workflows',
    entry: src('workflows', 'index.ts'),
    reads: ['workflows', 'domain', 'contract'].map((folder) => src(folder)),
    makes: [dist('workflow-bundle.js')],
    build: bundleWorkflows,
  },
];

/** Brings dist up to date. @returns the names of the steps that ran */
export async function build({ quiet = false } = {}) {
  if (staleSteps().length === 0) return [];
  mkdirSync(dist(), { recursive: true });
  return withBuildLock(dist('.build-lock'), async () => {
    const steps = staleSteps(); // another process may have built meanwhile
    if (steps.length === 0) return [];
    const done = quiet ? () => {} : progress(`Building (${steps.map((step) => step.name).join(', ')})`);
    for (const step of steps) {
      // Read before the build: a file changed while it runs is stale afterwards, and is built next time.
      const hash = inputHash(step);
      await step.build();
      // One step at a time, so that a second try goes on from the one that failed.
      replaceFile(STAMP, JSON.stringify({ ...readJson(STAMP), [step.name]: hash }));
    }
    done();
    return steps.map((step) => step.name);
  });
}

function staleSteps() {
  const stamp = readJson(STAMP) ?? {};
  return STEPS.filter(
    (step) =>
      existsSync(step.entry) && (stamp[step.name] !== inputHash(step) || !step.makes.every((file) => existsSync(file))),
  );
}

function inputHash(step) {
  const hash = createHash('sha256');
  for (const file of [...TOOLCHAIN, ...step.reads.flatMap((folder) => filesUnder(folder))]) {
    hash
      .update(`${path.relative(ROOT, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesUnder(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .toSorted();
}

async function compileModules() {
  await compile(path.join(ROOT, 'tsconfig.build.json'));
  for (const file of filesUnder(src())) {
    if (!file.endsWith('.ts')) cpSync(file, dist(path.relative(src(), file))); // pages, styles and the like
  }
  removeOrphans();
}

/** What agents import. */
async function compileSdk() {
  await compile(sdk('tsconfig.json'));
}

async function compile(project) {
  const tsc = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const { code, output } = await run(process.execPath, [tsc, '-p', project, '--noCheck']);
  if (code !== 0)
    throw new SetupError(
      `Compiling failed:\n${tail(output)}\nIf src is as it was cloned, please report this; else correct it.`,
    );
}

/** What an earlier build made from a source file that is no more would still be importable. */
function removeOrphans() {
  for (const file of filesUnder(dist())) {
    const match = /^(.+?)(?:\.js|\.d\.ts)(?:\.map)?$/.exec(path.relative(dist(), file));
    if (
      match !== null &&
      path.dirname(match[1]) !== '.' &&
      !existsSync(src(`${match[1]}.ts`)) &&
      !existsSync(src(`${match[1]}.js`))
    )
      rmSync(file);
  }
}

async function bundleCustodian() {
  const esbuild = await import('esbuild');
  const result = await esbuild.build({
    entryPoints: [src('custodian', 'main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    minify: true,
    write: false,
    legalComments: 'none',
    logLevel: 'silent',
  });
  replaceFile(dist('custodian.mjs'), result.outputFiles[0].contents);
}

async function bundleWorkflows() {
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const lines = [];
  const { code } = await bundleWorkflowCode({
    workflowsPath: src('workflows', 'index.ts'),
    logger: new DefaultLogger('WARN', ({ level, message }) => lines.push(`${level} ${message}`)),
  }).catch((error) => {
    throw new SetupError(`Bundling the workflows failed: ${error.message}\n${tail(lines.join('\n'))}`);
  });
  const bytes = Buffer.byteLength(code.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
  if (bytes > MAX_BUNDLE_BYTES) {
    throw new SetupError(
      `The workflow bundle has ${bytes} bytes, more than ${MAX_BUNDLE_BYTES}: workflow code imports something that does not belong there.`,
    );
  }
  replaceFile(dist('workflow-bundle.js'), code);
}

/** A reader sees the old file or the new one, never half of one. */
function replaceFile(file, content) {
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(async () => {
    await setUp();
    if (process.argv.includes('--force')) rmSync(dist(), { recursive: true, force: true });
    const built = await build();
    if (built.length === 0) process.stderr.write('openstarry: dist is up to date\n');
    else
      for (const file of ['custodian.mjs', 'workflow-bundle.js'].filter((name) => existsSync(dist(name)))) {
        process.stderr.write(`openstarry: dist/${file} ${Math.round(statSync(dist(file)).size / 1000)} kB\n`);
      }
    return 0;
  });
}
