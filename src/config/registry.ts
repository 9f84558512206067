import path from 'node:path';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';
import { agentsOfEntryPoints } from './python-entry-points.ts';
import { agentsOfFolder, type FoundAgent } from './registry-folder.ts';

/**
 * The agents that the registry finds, by id. They are looked for whenever the file is read: at each start and reload.
 *
 * @throws CodedError CONFIG_INVALID for a place that cannot be read, a name that cannot be used, and one that is met twice
 */
export async function registryOf(
  source: ConfigSource,
  { registry }: ConfigFile,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Map<string, FoundAgent>> {
  if (registry === undefined) return new Map();
  const { path: folder, python_entry_points: group, python = 'python3' } = registry;
  const dir = path.dirname(source.file);
  const invalid = (field: string) => (says: string) => source.invalid(['registry', field], `registry.${field} ${says}`);
  if (folder === undefined && group === undefined)
    throw source.invalid(['registry'], 'registry names neither path nor python_entry_points; give one of them');
  // A path is relative to the file; a bare name is looked for in PATH.
  const interpreter = python.includes('/') ? path.resolve(dir, python) : python;
  const found = [
    ...(folder === undefined ? [] : await agentsOfFolder(path.resolve(dir, folder), invalid('path'))),
    ...(group === undefined
      ? []
      : await agentsOfEntryPoints({ group, python: interpreter, dir, env }, invalid('python_entry_points'))),
  ];
  const byId = new Map<string, FoundAgent>();
  for (const agent of found) {
    const other = byId.get(agent.agent_id);
    if (other !== undefined) {
      const says = `has ${agent.location}, and ${other.location} gives the same agent_id ${agent.agent_id}; rename one of them`;
      throw invalid('python_entry_points')(says);
    }
    byId.set(agent.agent_id, agent);
  }
  return byId;
}
