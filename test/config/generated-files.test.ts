import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { GENERATED_FILES } from '../../src/config/generated-files.ts';
import { configJsonSchema, templateJsonSchema, undocumented } from '../../src/config/json-schema.ts';

const ROOT = new URL('../../', import.meta.url);

describe('GENERATED_FILES', () => {
  it.each(Object.entries(GENERATED_FILES))('%s is up to date; if not: npm run generate', (name, make) => {
    const file = fileURLToPath(new URL(name, ROOT));
    const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
    expect(current).toBe(make(current));
  });

  it('fills a table that is still empty', () => {
    const page = GENERATED_FILES['docs/configuration.md']!('<!-- generated: queue fields -->\n<!-- end -->\n');
    expect(page).toMatch(
      /^<!-- generated: queue fields -->\n\| Field [\s\S]*\| `max_per_sender` \|.*\|\n<!-- end -->\n$/,
    );
  });

  it('leave no setting and no field without a sentence', () => {
    expect(undocumented()).toEqual([]);
  });
});

describe('configJsonSchema', () => {
  const { properties } = configJsonSchema();

  it('describes agents by their own schema, whose id is the key', () => {
    const agents = properties?.['agents'] as { additionalProperties: { properties: Record<string, unknown> } };
    expect(agents.additionalProperties).not.toHaveProperty('required');
    expect(Object.keys(agents.additionalProperties.properties)).toContain('command');
    expect(Object.keys(agents.additionalProperties.properties)).not.toContain('agent_id');
    expect(properties?.['master']).toMatchObject({ required: ['agent_id'] });
  });

  it('accepts a reference to the environment for a port, and tells what it is for', () => {
    expect(properties?.['ports']?.properties?.['api']).toEqual({
      anyOf: [
        { type: 'integer', minimum: 0, maximum: 65_535 },
        { type: 'string', pattern: '^\\$\\{' },
      ],
      description: 'The API. 0 takes any free port, for this and the others. Default: 5050.',
    });
  });

  it('has no field of its own in templates', () => {
    const fields = Object.keys(templateJsonSchema().properties ?? {});
    expect(fields).toContain('variables');
    expect(fields).not.toContain('agent_id');
  });
});
