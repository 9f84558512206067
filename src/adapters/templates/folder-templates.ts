import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { CodedError } from '../../contract/errors.ts';
import { isTemplateId } from '../../domain/ids.ts';
import { isPassing } from '../../domain/passing-faults.ts';
import type { TemplateList, TemplateSource, TemplateText } from '../../ports/template-source.ts';
import { invalidText as invalid, MAX_TEMPLATE_BYTES, parseTemplateText, templateNotFound } from './template-content.ts';

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
    if (!isTemplateId(templateId))
      throw templateNotFound(templateId, 'such a name is not possible', { folder: this.folder });
    const opened = await Promise.all(
      EXTENSIONS.map((extension) => openFile(path.join(this.folder, `${templateId}${extension}`))),
    );
    const files = opened.filter((file) => file !== undefined);
    try {
      const [file, other] = files;
      if (file === undefined) {
        const names = EXTENSIONS.map((extension) => `${templateId}${extension}`).join(', ');
        throw templateNotFound(templateId, `looked for ${names} in ${this.folder}`, { folder: this.folder });
      }
      if (other !== undefined)
        throw invalid(templateId, file.location, `there is also ${other.location}; remove one of them`);
      return await this.read(templateId, file);
    } finally {
      await Promise.all(files.map(({ handle }) => handle.close()));
    }
  }

  async list(): Promise<TemplateList> {
    const names = await readdir(this.folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    const ids = names
      .map((name) => path.parse(name))
      .filter(({ ext, name }) => (EXTENSIONS as readonly string[]).includes(ext) && isTemplateId(name))
      .map(({ name }) => name);
    return { ids: [...new Set(ids)].toSorted((a, b) => (a < b ? -1 : 1)) };
  }

  private async read(id: string, { handle, location }: OpenFile): Promise<TemplateText> {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile()) throw invalid(id, location, 'is not a regular file');
    if (stat.size > MAX_TEMPLATE_BYTES)
      throw invalid(id, location, `has ${stat.size} bytes; the limit is ${MAX_TEMPLATE_BYTES}`);
    const stamp = `${location} ${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`;
    const cached = this.cache.get(id);
    if (cached?.stamp === stamp) return cached.text;
    const content = await handle.readFile().catch((error: unknown) => {
      throw unreadable(location, error);
    });
    const text = parseTemplateText(id, location, content, location.endsWith('.json') ? 'json' : 'yaml');
    this.cache.set(id, { stamp, text });
    return text;
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
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw unreadable(location, error);
  }
}

/** What passes says nothing of the template: an agent must not be given up for it. */
function unreadable(location: string, error: unknown): CodedError {
  const { code, message } = error as NodeJS.ErrnoException;
  const { name: id } = path.parse(location);
  if (!isPassing(code)) return invalid(id, location, `cannot be read: ${message}`, error);
  const says = `Template ${id} (${location}) cannot be read for the moment: ${message}`;
  return new CodedError('DESIGN_LAYER_UNAVAILABLE', says, { template_id: id, location }, error);
}
