import { setTimeout as delay } from 'node:timers/promises';
import { isGrpcServiceError, type Connection } from '@temporalio/client';
import { CodedError } from '../../contract/errors.ts';
import { SEARCH_ATTRIBUTES } from '../../contract/names.ts';

/** INDEXED_VALUE_TYPE_KEYWORD */
const KEYWORD = 2;
const GRPC = { INVALID_ARGUMENT: 3, ALREADY_EXISTS: 6 } as const;
const POLL_MS = 100;

export interface SearchAttributeOptions {
  namespace: string;
  /** Of the server, for the command line in an error's message. */
  address: string;
  /** How long a server may take to make new attributes usable. A cluster's nodes learn of them from a cache. */
  deadlineMs?: number;
}

/**
 * Creates those of the five search attributes that are missing and waits until they can be used. An unknown one fails every
 * workflow task that sets it, so no worker may start before.
 *
 * @returns the names of those that it created
 * @throws CodedError SEARCH_ATTRIBUTES, with the command line that creates them
 */
export async function ensureSearchAttributes(
  connection: Connection,
  options: SearchAttributeOptions,
): Promise<string[]> {
  const { namespace } = options;
  const existing = await connection.operatorService
    .listSearchAttributes({ namespace })
    .catch(async (error: unknown) => {
      // Who may not list them may still use them.
      if (await areUsable(connection, namespace).catch(() => false)) return undefined;
      throw refused(`cannot be listed: ${reasonOf(error)}`, [...SEARCH_ATTRIBUTES], options, error);
    });
  if (existing === undefined) return [];

  const types = { ...existing.systemAttributes, ...existing.customAttributes };
  const wrong = SEARCH_ATTRIBUTES.filter((name) => types[name] !== undefined && types[name] !== KEYWORD);
  if (wrong.length > 0) {
    const removal = `${operatorCommand('remove', options)}${wrong.map((name) => ` --name ${name}`).join('')} --yes`;
    throw refused(`${wrong.join(', ')} exist with another type; remove first with: ${removal}`, wrong, options);
  }
  const missing = SEARCH_ATTRIBUTES.filter((name) => types[name] === undefined);
  if (missing.length === 0) return [];

  await create(connection, missing, options);
  await untilUsable(connection, missing, options);
  return missing;
}

/** `temporal operator search-attribute create --name AgentId --type Keyword …` */
export function createCommand(names: readonly string[], options: SearchAttributeOptions): string {
  return operatorCommand('create', options) + names.map((name) => ` --name ${name} --type Keyword`).join('');
}

function operatorCommand(verb: string, options: SearchAttributeOptions): string {
  return `temporal operator search-attribute ${verb} --address ${options.address} --namespace ${options.namespace}`;
}

async function create(
  connection: Connection,
  names: readonly string[],
  options: SearchAttributeOptions,
): Promise<void> {
  try {
    await connection.operatorService.addSearchAttributes({
      namespace: options.namespace,
      searchAttributes: Object.fromEntries(names.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    // Another daemon of the same cluster was quicker.
    if (isGrpcServiceError(error) && Number(error.code) === GRPC.ALREADY_EXISTS) return;
    throw refused(`cannot be created: ${reasonOf(error)}`, names, options, error);
  }
}

async function untilUsable(
  connection: Connection,
  names: readonly string[],
  options: SearchAttributeOptions,
): Promise<void> {
  const deadlineMs = options.deadlineMs ?? 30_000;
  const end = performance.now() + deadlineMs;
  while (!(await areUsable(connection, options.namespace))) {
    if (performance.now() > end)
      throw refused(`were created but cannot be used after ${deadlineMs / 1000} s`, names, options);
    await delay(POLL_MS);
  }
}

/** Whether the server knows all five, judged by a query that names them. */
async function areUsable(connection: Connection, namespace: string): Promise<boolean> {
  const query = SEARCH_ATTRIBUTES.map((name) => `${name} = "x"`).join(' AND ');
  try {
    await connection.workflowService.countWorkflowExecutions({ namespace, query });
    return true;
  } catch (error) {
    if (isGrpcServiceError(error) && Number(error.code) === GRPC.INVALID_ARGUMENT) return false;
    throw error;
  }
}

function refused(why: string, names: readonly string[], options: SearchAttributeOptions, cause?: unknown): CodedError {
  const command = createCommand(names, options);
  const message = `The search attributes ${names.join(', ')} of namespace ${options.namespace} ${why}\nRun with an operator's rights: ${command}`;
  return new CodedError('SEARCH_ATTRIBUTES', message, { missing: names, command }, cause);
}

function reasonOf(error: unknown): string {
  return isGrpcServiceError(error) ? error.details || error.message : String((error as Error).message);
}
