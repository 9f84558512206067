/** `messages.types`: the JSON Schemas of users' own message types. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import type { Json } from '../domain/messages/message.ts';
import type { DeclaredTypes } from '../schema/message-payloads.ts';
import type { ConfigSource } from './config-source.ts';
import type { MessageTypeFile } from './config.ts';

const MAX_SCHEMA_BYTES = 1024 * 1024;

/** @throws CodedError CONFIG_INVALID naming the setting, the file and the place in it */
export async function messageTypesOf(
  source: ConfigSource,
  types: Record<string, string>,
): Promise<Record<string, MessageTypeFile>> {
  const read = Object.entries(types).map(async ([name, given]): Promise<[string, MessageTypeFile]> => {
    const file = path.resolve(path.dirname(source.file), given);
    try {
      const type = { file, schema: await schemaIn(file) };
      validatorOf(type);
      return [name, type];
    } catch (error) {
      const where = ['messages', 'types', name];
      throw source.invalid(where, `${where.join('.')}: ${file} ${(error as Error).message}`);
    }
  });
  return Object.fromEntries(await Promise.all(read));
}

/** For types that `messageTypesOf` has found to be right. */
export function declaredTypesOf(types: Record<string, MessageTypeFile>): DeclaredTypes {
  return new Map(Object.entries(types).map(([name, type]) => [name, validatorOf(type)]));
}

async function schemaIn(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`cannot be read: ${(error as Error).message}`, { cause: error });
  });
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_SCHEMA_BYTES) throw new Error(`has ${bytes} bytes; the limit is ${MAX_SCHEMA_BYTES}`);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new Error(`is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Each type by itself: the `$id` of one is nothing to another. */
function validatorOf({ schema }: MessageTypeFile): (payload: Json) => string | undefined {
  // `format` says what a text is for, as the draft has it; it refuses nothing.
  const ajv = new Ajv2020({ allErrors: false, validateFormats: false });
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) {
    throw new Error('is no JSON Schema: expected a mapping');
  }
  const valid = ajv.validateSchema(schema);
  if (valid !== true) {
    const error = ajv.errors?.[0];
    throw new Error(`is no valid JSON Schema (draft 2020-12): ${sentenceOf(error, 'the schema')}`);
  }
  let validate: ReturnType<typeof ajv.compile>;
  try {
    validate = ajv.compile(schema);
  } catch (error) {
    throw new Error(`is no JSON Schema that can be used: ${(error as Error).message}`, { cause: error });
  }
  return (payload) => (validate(payload) === true ? undefined : sentenceOf(validate.errors?.[0], 'payload'));
}

/** `payload/price must be number`. */
function sentenceOf(error: ErrorObject | undefined, what: string): string {
  if (error === undefined) return `${what} is not valid`;
  const extra = Object.entries(error.params).find(
    ([name]) => name === 'additionalProperty' || name === 'allowedValues',
  );
  const detail = extra === undefined ? '' : `: ${JSON.stringify(extra[1]).slice(0, 200)}`;
  return `${what}${error.instancePath} ${error.message ?? 'is not valid'}${detail}`;
}
