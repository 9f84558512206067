import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { AgentInput } from '../contract/agent-input.ts';
import type { TemplateVariableView, TemplateView } from '../contract/template-view.ts';
import { CodedError } from '../contract/errors.ts';
import type { DaemonClient } from './daemon-client.ts';
import { given } from './message-body.ts';

export interface SpawnOptions {
  template?: string;
  var?: string[];
  label?: string[];
  env?: string[];
  cwd?: string;
  task?: string;
  faultDomain?: string;
  restart?: string;
  wakeOnMessage?: true;
  input?: string;
}

/**
 * The body of `POST /agents`; what is given on the command line wins over `--input`. The API checks it.
 * @param here where the command was typed, if the daemon is on this machine: a command that is given runs there
 */
export function spawnBody(
  agentId: string | undefined,
  command: string[],
  options: SpawnOptions,
  here: string | undefined,
): Partial<AgentInput> {
  const { template, task, faultDomain, restart, wakeOnMessage } = options;
  const folder = options.cwd ?? (command.length === 0 ? undefined : here);
  const cwd = folder === undefined || here === undefined ? folder : path.resolve(here, folder);
  const body: Partial<AgentInput> = {
    ...(options.input === undefined ? {} : readInput(options.input)),
    ...given('agent_id', agentId),
    ...given('template_id', template),
    ...given('variables', pairs('--var', options.var)),
    ...given('labels', pairs('--label', options.label)),
    ...given('env', pairs('--env', options.env)),
    ...given('cwd', cwd),
    ...given('task', task),
    ...given('fault_domain', faultDomain),
    ...given('restart', restart),
    ...given('wake_on_message', wakeOnMessage),
    ...(command.length === 0 ? {} : { command }),
  };
  if (body.agent_id === undefined)
    throw new CodedError('INVALID_REQUEST', 'The agent_id is missing: give it as the first argument or in --input');
  return body;
}

/**
 * A command line has only texts: those of `--var` become the numbers and truth values that the template declares. What is
 * none stays a text, and the API says what is wrong with it.
 */
export async function withTypes<Body extends Pick<AgentInput, 'template_id' | 'variables'>>(
  daemon: Pick<DaemonClient, 'json'>,
  body: Body,
  typed: string[] | undefined,
): Promise<Body> {
  const { template_id: id } = body;
  if (typed === undefined || id === undefined) return body;
  const template = daemon.json<TemplateView>('GET', `/templates/${encodeURIComponent(id)}`);
  const declared = (await template.catch(() => undefined))?.variables ?? {};
  const values = Object.entries(pairs('--var', typed) ?? {});
  return {
    ...body,
    variables: Object.fromEntries(values.map(([name, text]) => [name, typedValue(text, declared[name]?.type)])),
  };
}

function typedValue(text: string, type: TemplateVariableView['type'] = 'string'): string | number | boolean {
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  return type === 'number' && text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

export function pairs(option: string, texts: string[] | undefined): Record<string, string> | undefined {
  if (texts === undefined) return undefined;
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1)
        throw new CodedError('INVALID_REQUEST', `${option} must be name=value; the value is ${JSON.stringify(text)}`);
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}

export function readInput(file: string): Record<string, unknown> {
  try {
    const data: unknown = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data as Record<string, unknown>;
  } catch (error) {
    throw new CodedError('INVALID_REQUEST', `Cannot read --input ${file}: ${(error as Error).message}`, {}, error);
  }
  throw new CodedError('INVALID_REQUEST', `--input ${file} must be a JSON object`);
}
