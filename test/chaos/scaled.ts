import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const BEATS = [
  ['workflow-bundle.js', "RUN_HEARTBEAT_TIMEOUT = '10 minutes'", "RUN_HEARTBEAT_TIMEOUT = '20 seconds'"],
  ['host/beats.js', 'PERIOD_MS = 240_000', 'PERIOD_MS = 5_000'],
] as const;
/** What the copy has instead of ten minutes. */
export const SCALED_HEARTBEAT_MS = 20_000;

/** A copy of what was built in which the longest time-out is short enough to be waited for. */
export async function scaledBuild(
  root: string,
): Promise<{ entry: string; [Symbol.asyncDispose]: () => Promise<void> }> {
  // Inside of node_modules, from where its packages are found.
  const folder = path.join(root, 'node_modules', '.cache', 'openstarry', `scaled-${process.pid}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(path.join(root, 'package.json'), path.join(folder, 'package.json'));
  await cp(path.join(root, 'dist'), path.join(folder, 'dist'), { recursive: true });
  for (const [name, from, to] of BEATS) {
    const file = path.join(folder, 'dist', name);
    const text = await readFile(file, 'utf8');
    if (!text.includes(from)) throw new Error(`${name} does not have "${from}" any more`);
    await writeFile(file, text.replace(from, to));
  }
  return {
    entry: path.join(folder, 'dist', 'cli', 'main.js'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
