import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** What a later daemon must know to adopt the embedded server; beside what custody knows of every process. */
export interface TemporalRecord {
  generation: number;
  port: number;
  ui_port: number;
  cli_version: string;
}

const fileOf = (stateDir: string): string => path.join(stateDir, 'temporal.json');

export async function readTemporalRecord(stateDir: string): Promise<TemporalRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(fileOf(stateDir), 'utf8')) as Partial<TemporalRecord>;
    const numbers = [record.generation, record.port, record.ui_port].every((value) => Number.isInteger(value));
    return numbers && typeof record.cli_version === 'string' ? (record as TemporalRecord) : undefined;
  } catch {
    return undefined; // absent or damaged: the server, if one lives, is replaced
  }
}

export async function writeTemporalRecord(stateDir: string, record: TemporalRecord): Promise<void> {
  const temporary = `${fileOf(stateDir)}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  await rename(temporary, fileOf(stateDir));
}
