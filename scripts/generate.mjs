// Writes the files that are made from the schemas: JSON Schemas and the tables of docs/configuration.md.
// With --check nothing is written: exit 1 names what is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from './build.mjs';
import { ROOT } from './setup.mjs';

await build({ quiet: true });
const module = pathToFileURL(path.join(ROOT, 'dist', 'config', 'generated-files.js'));
const { GENERATED_FILES } = await import(module.href);

const stale = [];
for (const [name, make] of Object.entries(GENERATED_FILES)) {
  const file = path.join(ROOT, name);
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const wanted = make(current);
  if (wanted === current) continue;
  stale.push(name);
  if (process.argv.includes('--check')) continue;
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, wanted);
}

if (process.argv.includes('--check') && stale.length > 0) {
  process.stderr.write(`openstarry: stale: ${stale.join(', ')}; run: npm run generate\n`);
  process.exitCode = 1;
} else {
  process.stderr.write(
    `openstarry: ${stale.length === 0 ? 'everything is up to date' : `wrote ${stale.join(', ')}`}\n`,
  );
}
