import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FolderTemplates } from '../../src/adapters/templates/folder-templates.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { defineAgent } from '../../src/schema/define-agent.ts';

const PAGE = new URL('../../docs/configuration.md', import.meta.url);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-page-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it('docs/configuration.md shows a configuration and a template that are accepted', async () => {
  const [yaml, template] = [...(await readFile(PAGE, 'utf8')).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
    ([, text]) => text as string,
  );
  await writeFile(path.join(dir, 'openstarry.yaml'), yaml as string);
  await writeFile(path.join(dir, 'Reporter_v1.yaml'), template as string);
  const { agents, faultDomains, defaults } = await loadConfig(dir + '/openstarry.yaml', {});
  expect(agents.map(({ agent_id }) => agent_id)).toEqual(['master', 'data_market', 'reporter']);
  const input = { agent_id: 'reporter', template_id: 'Reporter_v1', variables: { depth: 3 }, task: 'the day' };
  const text = await new FolderTemplates(dir).load('Reporter_v1');
  const { launch } = defineAgent({ input, template: text, faultDomains, defaults, baseDir: dir });
  expect(launch).toMatchObject({ command: ['python3', 'report.py', '--lang', 'en'], stdin: 'the day' });
});
