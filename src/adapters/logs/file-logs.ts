import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fileNameOf, isAgentId } from '../../domain/ids.ts';
import type { LogSource, TailOptions } from '../../ports/log-source.ts';
import { followFolder } from './log-follow.ts';
import { logFilesIn, withLog } from './log-folder.ts';
import { linesSince } from './log-time.ts';
import { tailOf } from './log-tail.ts';

/**
 * The log files that the custodian keeps: `<folder>/<agent>/<generation>.log`, with what has been rotated as `.1`, `.2`
 * and so on. Links are never followed: agents may be able to write there.
 */
export class FileLogs implements LogSource {
  private readonly folder: string;

  /** @param folder `logs` in the state directory */
  constructor(folder: string) {
    this.folder = path.resolve(folder);
  }

  async tail(agentId: string, { lines, generation, sinceMs }: TailOptions): Promise<string[]> {
    const files = logFilesIn(this.folderOf(agentId)).filter(
      (file) => generation === undefined || file.generation === generation,
    );
    if (sinceMs === undefined) return tailOf(files, lines);
    const written = files.filter(({ file }) => (withLog(file, ({ stat }) => stat.mtimeMs) ?? 0) >= sinceMs);
    return linesSince(await tailOf(written, lines), sinceMs);
  }

  follow(agentId: string, signal: AbortSignal): AsyncIterable<string> {
    return followFolder(this.folderOf(agentId), signal);
  }

  async purge(agentId: string): Promise<void> {
    await rm(this.folderOf(agentId), { recursive: true, force: true });
  }

  private folderOf(agentId: string): string {
    // The daemon's own children have an id that begins with an underscore.
    if (!isAgentId(agentId.replace(/^_/, ''))) throw new TypeError(`${JSON.stringify(agentId)} is no agent id`);
    return path.join(this.folder, fileNameOf(agentId));
  }
}
