import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { versionOf } from './template-content.ts';

/** What a service answered last for a template. */
export interface CachedTemplate {
  id: string;
  url: string;
  etag: string | null;
  /** When the service last said that this is its template, ISO 8601. */
  confirmed_at: string;
  format: 'json' | 'yaml';
  version: string;
  content: string;
}

/** Copies of templates on disk, one file each: for when the service that they come from is away. */
export class TemplateCache {
  private readonly folder: string;
  private readonly url: string;

  /** @param url of the service: another service's copies do not count */
  constructor(folder: string, url: string) {
    this.folder = path.join(folder, digest(url));
    this.url = url;
  }

  /** Undefined if there is none, or it is damaged. */
  async get(id: string): Promise<CachedTemplate | undefined> {
    const entry = await this.read(this.fileOf(id));
    return entry?.id === id ? entry : undefined;
  }

  async list(): Promise<CachedTemplate[]> {
    const names = await readdir(this.folder).catch(() => []);
    const files = names.filter((name) => name.endsWith('.json')).map((name) => path.join(this.folder, name));
    const entries = await Promise.all(files.map((file) => this.read(file)));
    return entries.filter((entry) => entry !== undefined).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Whole or not at all. @throws if the disk does not take it */
  async put(entry: CachedTemplate): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const file = this.fileOf(entry.id);
    const temporary = `${file}.${randomUUID()}.tmp`;
    try {
      await writeFile(temporary, JSON.stringify(entry), { mode: 0o600 });
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async remove(id: string): Promise<void> {
    await rm(this.fileOf(id), { force: true });
  }

  /** No part of a path comes from an id as it is: two that differ in case only are two files everywhere. */
  private fileOf(id: string): string {
    return path.join(this.folder, `${digest(id)}.json`);
  }

  private async read(file: string): Promise<CachedTemplate | undefined> {
    try {
      const entry = JSON.parse(await readFile(file, 'utf8')) as CachedTemplate | null;
      return entry?.url === this.url && versionOf(entry.content) === entry.version ? entry : undefined;
    } catch {
      return undefined; // as good as none: it is fetched again
    }
  }
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
