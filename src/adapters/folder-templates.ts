import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { CodedError } from '../contract/errors.ts';
import { isTemplateId } from '../domain/ids.ts';
import type { TemplateSource, TemplateText } from '../ports/template-source.ts';

const MAX_TEMPLATE_BYTES = 1024 * 1024;

const EXTENSIONS = ['.yaml', '.yml', '.json'] as const;

/**
 * Templates as files `<id>.yaml`, `.yml` or `.json` of one folder. A file is read again when it has changed, so an edit
 * counts from the next start of an agent on.
 */
export class FolderTemplates implements TemplateSource {
  private readonly folder: string;
  private readonly cache = new Map<string, { stamp: string; text: TemplateText }>();

  constructor(folder: string) {
    this.folder = path.resolve(folder);
  }

  async load(templateId: string): Promise<TemplateText> {
    // Also keeps `..` and separators out of the path.
    if (!isTemplateId(templateId)) throw this.notFound(templateId, 'such a name is not possible');
    const opened = await Promise.all(
      EXTENSIONS.map((extension) => openFile(path.join(this.folder, `${templateId}${extension}`))),
    );
    const files = opened.filter((file) => file !== undefined);
    try {
      const [file, other] = files;
      if (file === undefined) {
        const names = EXTENSIONS.map((extension) => `${templateId}${extension}`).join(', ');
        throw this.notFound(templateId, `looked for ${names} in ${this.folder}`);
      }
      if (other !== undefined)
        throw invalid(templateId, file.location, `there is also ${other.location}; remove one of them`);
      return await this.read(templateId, file);
    } finally {
      await Promise.all(files.map(({ handle }) => handle.close()));
    }
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const ids = names
      .map((name) => path.parse(name))
      .filter(({ ext, name }) => (EXTENSIONS as readonly string[]).includes(ext) && isTemplateId(name))
      .map(({ name }) => name);
    return [...new Set(ids)].toSorted((a, b) => (a < b ? -1 : 1));
  }

  private async read(id: string, { handle, location }: OpenFile): Promise<TemplateText> {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile()) throw invalid(id, location, 'is not a regular file');
    if (stat.size > MAX_TEMPLATE_BYTES)
      throw invalid(id, location, `has ${stat.size} bytes; the limit is ${MAX_TEMPLATE_BYTES}`);
    const stamp = `${location} ${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
    const cached = this.cache.get(id);
    if (cached?.stamp === stamp) return cached.text;
    const content = await handle.readFile();
    const text: TemplateText = {
      id,
      location,
      version: createHash('sha256').update(content).digest('hex'),
      data: parse(id, location, content.toString('utf8')),
    };
    this.cache.set(id, { stamp, text });
    return text;
  }

  private notFound(id: string, why: string): CodedError {
    const shown = JSON.stringify(id.length > 130 ? `${id.slice(0, 130)}…` : id);
    return new CodedError('TEMPLATE_NOT_FOUND', `There is no template ${shown}: ${why}`, {
      template_id: id,
      folder: this.folder,
    });
  }
}

interface OpenFile {
  handle: FileHandle;
  location: string;
}

async function openFile(location: string): Promise<OpenFile | undefined> {
  try {
    // Links are followed: mounted configuration consists of them. A pipe must not hold us up.
    return { handle: await open(location, constants.O_RDONLY | constants.O_NONBLOCK), location };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw invalid(path.parse(location).name, location, `cannot be read: ${message}`, error);
  }
}

function parse(id: string, location: string, text: string): unknown {
  try {
    if (location.endsWith('.json')) return JSON.parse(text);
    const document = parseDocument(text);
    const [error] = document.errors; // its message tells line and column
    if (error !== undefined) throw error;
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw invalid(
      id,
      location,
      `cannot be parsed: ${error instanceof Error ? error.message.trim() : String(error)}`,
      error,
    );
  }
}

function invalid(id: string, location: string, says: string, cause?: unknown): CodedError {
  return new CodedError(
    'TEMPLATE_INVALID',
    `Template ${id} (${location}): ${says}`,
    { template_id: id, location },
    cause,
  );
}
