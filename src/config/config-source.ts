import { readFile } from 'node:fs/promises';
import { isNode, LineCounter, parseDocument } from 'yaml';
import { CodedError } from '../contract/errors.ts';

const MAX_CONFIG_BYTES = 1024 * 1024;

/** The text of a configuration file as data, and where in the text things stand. */
export interface ConfigSource {
  file: string;
  data: unknown;
  /** The error of a setting: names file, line and column. `says` names the setting and what is accepted. */
  invalid: (path: readonly PropertyKey[], says: string) => CodedError;
}

/** @throws CodedError CONFIG_NOT_FOUND, or CONFIG_INVALID with line and column */
export async function readConfigSource(file: string): Promise<ConfigSource> {
  const text = await readText(file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const failed = document.errors[0];
  if (failed !== undefined) {
    const { line, col } = lines.linePos(failed.pos[0]);
    throw configInvalid(`${file}:${line}:${col}`, `no valid YAML: ${failed.message}`, file, '');
  }
  return {
    file,
    data: toData(file, () => document.toJS({ maxAliasCount: 100 })),
    invalid: (path, says) => {
      const position = positionOf(path);
      return configInvalid(
        position === undefined ? file : `${file}:${position}`,
        says,
        file,
        path.map(String).join('.'),
      );
    },
  };

  /** Of the setting, or of the nearest one around it. */
  function positionOf(path: readonly PropertyKey[]): string | undefined {
    for (let length = path.length; length > 0; length -= 1) {
      const node: unknown = document.getIn(path.slice(0, length), true);
      if (!isNode(node) || !node.range) continue;
      const { line, col } = lines.linePos(node.range[0]);
      return `${line}:${col}`;
    }
    return undefined;
  }
}

async function readText(file: string): Promise<string> {
  let content: Buffer;
  try {
    content = await readFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CodedError('CONFIG_NOT_FOUND', `There is no configuration file ${file}`, { file }, error);
    }
    throw configInvalid(file, `cannot be read: ${message}`, file, '');
  }
  if (content.length > MAX_CONFIG_BYTES) {
    throw configInvalid(file, `has ${content.length} bytes; the limit is ${MAX_CONFIG_BYTES}`, file, '');
  }
  return content.toString('utf8');
}

function toData(file: string, convert: () => unknown): unknown {
  try {
    return convert();
  } catch (error) {
    throw configInvalid(file, error instanceof Error ? error.message : String(error), file, '');
  }
}

const configInvalid = (where: string, says: string, file: string, field: string): CodedError =>
  new CodedError('CONFIG_INVALID', `${where}: ${says}`, { file, field });
