import { createHash } from 'node:crypto';
import { parseDocument } from 'yaml';
import { CodedError } from '../../contract/errors.ts';
import type { TemplateText } from '../../ports/template-source.ts';

export const MAX_TEMPLATE_BYTES = 1024 * 1024;

/**
 * The text of a template, parsed but not validated.
 * @throws CodedError TEMPLATE_INVALID, with line and column
 */
export function parseTemplateText(
  id: string,
  location: string,
  content: string | Uint8Array,
  format: 'json' | 'yaml',
): TemplateText {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
  return { id, location, version: versionOf(content), data: parse(id, location, text, format) };
}

/** Digest of the content. */
export const versionOf = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

export function invalidText(id: string, location: string, says: string, cause?: unknown): CodedError {
  return new CodedError(
    'TEMPLATE_INVALID',
    `Template ${id} (${location}): ${says}`,
    { template_id: id, location },
    cause,
  );
}

/** `where` tells what was looked for. */
export function templateNotFound(id: string, where: string, details: Record<string, unknown>): CodedError {
  const shown = JSON.stringify(id.length > 130 ? `${id.slice(0, 130)}…` : id);
  return new CodedError('TEMPLATE_NOT_FOUND', `There is no template ${shown}: ${where}`, {
    template_id: id,
    ...details,
  });
}

function parse(id: string, location: string, text: string, format: 'json' | 'yaml'): unknown {
  try {
    if (format === 'json') return JSON.parse(text);
    const document = parseDocument(text);
    const [error] = document.errors; // its message tells line and column
    if (error !== undefined) throw error;
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const why = error instanceof Error ? error.message.trim() : String(error);
    throw invalidText(id, location, `cannot be parsed: ${why}`, error);
  }
}
