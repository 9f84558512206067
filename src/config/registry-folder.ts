import { accessSync, constants } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { isAgentId } from '../domain/ids.ts';

/** An agent that a registry has found: how it is launched, and where it stands. */
export interface FoundAgent {
  agent_id: string;
  command: string[];
  /** For messages. */
  location: string;
}

/** What runs a file of this kind, whether it may be executed or not. */
const INTERPRETERS: Record<string, string[]> = {
  '.py': ['python3', '-u'],
  '.js': ['node'],
  '.mjs': ['node'],
  '.cjs': ['node'],
};

/**
 * The agents of a folder: every executable and every .py, .js, .mjs or .cjs file in it is one, named by its stem. Names
 * that begin with a dot or an underscore are helpers, and folders are not looked into.
 *
 * @param invalid makes an error of what it says
 */
export async function agentsOfFolder(folder: string, invalid: (says: string) => Error): Promise<FoundAgent[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    throw invalid(
      `is ${folder}, which ${error.code === 'ENOENT' ? 'does not exist; create the folder, or correct the path' : `cannot be read: ${error.message}`}`,
    );
  });
  const found = new Map<string, FoundAgent>();
  for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
    const location = path.join(folder, name);
    const command = /^[._]/.test(name) ? undefined : await commandOf(location);
    if (command === undefined) continue;
    const agentId = path.parse(name).name;
    if (!isAgentId(agentId)) {
      throw invalid(
        `has ${location}, whose name gives the agent_id ${JSON.stringify(agentId)}; expected 1 to 64 letters, digits, dot, underscore or hyphen, a letter or digit first: rename the file, or put an underscore before it`,
      );
    }
    const other = found.get(agentId);
    if (other !== undefined) {
      throw invalid(
        `has ${other.location} and ${location}, which both give the agent_id ${agentId}; rename one of them`,
      );
    }
    found.set(agentId, { agent_id: agentId, command, location });
  }
  return [...found.values()];
}

/** Undefined for what is no agent. */
async function commandOf(file: string): Promise<string[] | undefined> {
  const entry = await stat(file).catch(() => undefined); // a link that leads nowhere is no agent
  if (!entry?.isFile()) return undefined;
  const interpreter = INTERPRETERS[path.extname(file)];
  if (interpreter !== undefined) return [...interpreter, file];
  return isExecutable(file) ? [file] : undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
