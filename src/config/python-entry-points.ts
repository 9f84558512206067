import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { isAgentId } from '../domain/ids.ts';
import type { FoundAgent } from './registry-folder.ts';

const TIMEOUT_MS = 20_000;

/** Prints `[[name, value, distribution], …]`. Python 3.8 and 3.9 know no argument `group`. */
const LIST = `
import json, sys
from importlib import metadata
group = sys.argv[1]
try:
    points = metadata.entry_points(group=group)
except TypeError:
    points = metadata.entry_points().get(group, ())
name_of = lambda p: getattr(getattr(p, "dist", None), "name", None)
print(json.dumps(sorted({(p.name, p.value, name_of(p) or "") for p in points})))
`;

/** Where the Python SDK of this package is: an installed one wins. */
const SDK = fileURLToPath(new URL('../../sdk/python', import.meta.url));

/**
 * Runs what \`package.module:function\` names, as a console script does; a module alone is run as \`python -m\` does. A class
 * with \`start\`, \`handle_cron\` or \`handle_message\` is run by the SDK.
 */
const RUN = `
import importlib, runpy, sys
value, sdk = sys.argv.pop(1), sys.argv.pop(1)
module, _, path = value.split("[")[0].strip().partition(":")
if not path:
    sys.exit(runpy.run_module(module, run_name="__main__", alter_sys=True) and None)
target = importlib.import_module(module)
for part in path.split("."):
    target = getattr(target, part)
if isinstance(target, type):
    sys.path.append(sdk)
    from openstarry import is_agent_class, run
    if is_agent_class(target):
        sys.exit(run(target))
sys.exit(target())
`.trim();

export interface EntryPointsQuery {
  group: string;
  /** The interpreter: its packages are looked at, and it runs the agents. */
  python: string;
  /** Packages in this folder are found too, as the interpreter does it. */
  dir: string;
  env: Readonly<Record<string, string | undefined>>;
}

/**
 * The agents that installed Python packages declare as entry points of a group, named by the entry point.
 *
 * @param invalid makes an error of what it says
 */
export async function agentsOfEntryPoints(
  query: EntryPointsQuery,
  invalid: (says: string) => Error,
): Promise<FoundAgent[]> {
  const { python } = query;
  const points = parse(await list(query, invalid), invalid);
  const found = new Map<string, FoundAgent>();
  for (const [name, value, distribution] of points) {
    const location = `the entry point ${name} = ${value}${distribution === '' ? '' : ` of ${distribution}`}`;
    if (!isAgentId(name)) {
      throw invalid(
        `has ${location}, whose name is no agent_id; expected 1 to 64 letters, digits, dot, underscore or hyphen, a letter or digit first`,
      );
    }
    const other = found.get(name);
    if (other !== undefined) throw invalid(`has ${other.location} and ${location}; rename one of them`);
    found.set(name, { agent_id: name, command: [python, '-u', '-c', RUN, value, SDK], location });
  }
  return [...found.values()];
}

function list({ python, group, dir, env }: EntryPointsQuery, invalid: (says: string) => Error): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { cwd: dir, env: { ...env }, timeout: TIMEOUT_MS, maxBuffer: 4 * 1024 * 1024 };
    execFile(python, ['-c', LIST, group], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const { code, killed } = error as NodeJS.ErrnoException & { killed?: boolean };
      const last = stderr.trim().split('\n').at(-1) ?? '';
      if (String(code) === 'ENOENT') {
        reject(
          invalid(
            `needs ${python}, which is not there; install Python 3.8 or newer, or name another with registry.python`,
          ),
        );
      } else if (killed) reject(invalid(`cannot be read: ${python} did not answer within ${TIMEOUT_MS} ms`));
      else reject(invalid(`cannot be read: ${python} failed: ${last || error.message}`));
    });
  });
}

function parse(text: string, invalid: (says: string) => Error): [name: string, value: string, distribution: string][] {
  try {
    // A package may print on import; what was asked for is the last line.
    return JSON.parse(text.trim().split('\n').at(-1) ?? '') as [string, string, string][];
  } catch {
    throw invalid(`cannot be read: Python answered ${JSON.stringify(text.slice(0, 200))}`);
  }
}
