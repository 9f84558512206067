import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { CodedError } from '../../contract/errors.ts';

const NAME = /^temporal-(.+)\.db$/;

/**
 * The database file of the embedded server, named after the version that writes it: a development server has no migration,
 * and another version may fail on it or damage it.
 *
 * @throws CodedError TEMPORAL_DATABASE if only another version's database is there
 */
export async function temporalDatabase(stateDir: string, cliVersion: string): Promise<string> {
  const folder = path.join(stateDir, 'temporal');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, `temporal-${cliVersion}.db`);
  const versions = (await readdir(folder)).flatMap((name) => NAME.exec(name)?.[1] ?? []);
  if (versions.length === 0 || versions.includes(cliVersion)) return file;
  const others = versions.map((version) => `temporal-${version}.db`).join(', ');
  const message = [
    `The Temporal database in ${folder} was made by another version (${others}), and this is ${cliVersion}. A development server cannot convert it. Do one of these and start again:`,
    `  - go on with it: set OPENSTARRY_TEMPORAL_CLI to a temporal binary of version ${versions.join(' or ')}`,
    `  - begin a new one: move ${folder} away (mv ${folder} ${folder}.old). Agents come back from the daemon's own records; past workflow histories stay in the old file`,
  ].join('\n');
  throw new CodedError('TEMPORAL_DATABASE', message, { folder, found: versions, wanted: cliVersion });
}
