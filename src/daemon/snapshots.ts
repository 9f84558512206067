/** What an agent has kept for its next life (`snapshot` in its state) is given to it in a file. */
import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { CodedError } from '../contract/errors.ts';
import { fileNameOf } from '../domain/ids.ts';
import { agentScopeOf, SNAPSHOT_KEY, type StateEntry, type StateStore } from '../ports/state-store.ts';

export interface SnapshotsOptions {
  state: Pick<StateStore, 'get'>;
  /** Of the state directory; nobody else can enter that. */
  folder: string;
  /** For one read. @default 5000 */
  limitMs?: number;
}

export interface Owner {
  uid: number;
  gid: number;
}

const READ_MS = 5_000;
/** `<agent>-<generation>.json`. */
const NAME = /^(.+)-(\d+)\.json$/;

export class Snapshots {
  readonly #options: SnapshotsOptions;
  /** For agents that run as another user, who cannot enter the state directory. */
  readonly #sharedFolder: string;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    const hash = createHash('sha256').update(options.folder).digest('hex').slice(0, 16);
    this.#sharedFolder = path.join(os.tmpdir(), `openstarry-snapshots-${hash}`);
  }

  /**
   * Writes the file of an incarnation that is about to start.
   * @param owner whose it is, if not the daemon's own
   * @returns its path; undefined if the agent has kept nothing
   * @throws CodedError STATE_UNAVAILABLE: an agent must not start without what it has kept
   */
  async write(agentId: string, generation: number, owner?: Owner): Promise<string | undefined> {
    const entry = await this.#read(agentId);
    await this.#removeOthers(agentId, generation);
    if (entry === undefined) return undefined;
    try {
      const folder = await this.#folderFor(owner);
      const file = path.join(folder, nameOf(agentId, generation));
      const temporary = `${file}.${process.pid}.tmp`;
      await writeFile(temporary, JSON.stringify(entry.value), { mode: 0o600 });
      if (owner !== undefined) await chown(temporary, owner.uid, owner.gid);
      await rename(temporary, file);
      return file;
    } catch (error) {
      throw unavailable(agentId, `the file for it cannot be written: ${(error as Error).message}`, error);
    }
  }

  /** Its incarnation has ended. */
  async remove(agentId: string, generation: number): Promise<void> {
    const name = nameOf(agentId, generation);
    await Promise.all(this.#folders().map((folder) => rm(path.join(folder, name), { force: true })));
  }

  /** Those of incarnations that ended while no daemon lived. */
  async sweep(isLive: (agentId: string, generation: number) => boolean): Promise<void> {
    await this.#removeWhere((agentId, generation) => !isLive(agentId, generation));
  }

  /** At most one incarnation lives: what is there of others is left over from a start that failed. */
  async #removeOthers(agentId: string, generation: number): Promise<void> {
    await this.#removeWhere((other, of) => other === agentId && of < generation);
  }

  async #removeWhere(isUnwanted: (agentId: string, generation: number) => boolean): Promise<void> {
    for (const folder of this.#folders()) {
      for (const name of await readdir(folder).catch(() => [])) {
        const [, file, generation] = NAME.exec(name) ?? [];
        if (file !== undefined && isUnwanted(agentIdOf(file), Number(generation)))
          await rm(path.join(folder, name), { force: true });
      }
    }
  }

  async #read(agentId: string): Promise<StateEntry | undefined> {
    const { state, limitMs = READ_MS } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the state store has not answered within ${limitMs} ms`)), limitMs);
    });
    try {
      return await Promise.race([state.get(agentScopeOf(agentId), SNAPSHOT_KEY), late]);
    } catch (error) {
      throw unavailable(agentId, (error as Error).message, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #folderFor(owner: Owner | undefined): Promise<string> {
    const { folder } = this.#options;
    const isOwn = owner === undefined || owner.uid === process.getuid?.();
    if (isOwn) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return folder;
    }
    // Others may pass through it, and see only what is theirs.
    await mkdir(this.#sharedFolder, { recursive: true, mode: 0o711 });
    const { uid, mode } = await lstat(this.#sharedFolder);
    const isSafe = uid === process.getuid?.() && (mode & 0o170022) === 0o040000;
    if (!isSafe) throw new Error(`${this.#sharedFolder} is not a folder that only this user can write to; remove it`);
    return this.#sharedFolder;
  }

  #folders(): string[] {
    return [this.#options.folder, this.#sharedFolder];
  }
}

const nameOf = (agentId: string, generation: number): string => `${fileNameOf(agentId)}-${generation}.json`;

/** The reverse of `fileNameOf`. */
const agentIdOf = (file: string): string => file.replaceAll(/=([a-z])/g, (_, letter: string) => letter.toUpperCase());

const unavailable = (agentId: string, why: string, cause?: unknown): CodedError =>
  new CodedError(
    'STATE_UNAVAILABLE',
    `The snapshot of ${agentId} cannot be read: ${why}`,
    { agent_id: agentId },
    cause,
  );
