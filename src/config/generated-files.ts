import { AGENT_FIELDS, FAULT_DOMAIN_FIELDS, QUEUE_FIELDS, SETTINGS, VARIABLE_FIELDS } from './documentation.ts';
import { configJsonSchema, markdownTable, templateJsonSchema } from './json-schema.ts';

const TABLES: Record<string, () => string> = {
  settings: () => markdownTable('Setting', SETTINGS),
  'agent fields': () => markdownTable('Field', AGENT_FIELDS, { signed: true }),
  'variable fields': () => markdownTable('Field', VARIABLE_FIELDS),
  'queue fields': () => markdownTable('Field', QUEUE_FIELDS),
  'fault domain fields': () => markdownTable('Field', FAULT_DOMAIN_FIELDS),
};

/** The files that are made from the schemas, by their path in the repository. Of a page only its marked tables are. */
export const GENERATED_FILES: Record<string, (current: string) => string> = {
  'docs/configuration.md': (page) =>
    page.replaceAll(
      /(<!-- generated: ([a-z ]+) -->\n)[\s\S]*?(?<=\n)(<!-- end -->)/g,
      (_, open, name: string, close) => {
        const table = TABLES[name];
        if (table === undefined)
          throw new Error(`docs/configuration.md asks for a table "${name}", which nobody makes`);
        return `${open}${table()}\n${close}`;
      },
    ),
  'schema/openstarry.schema.json': () => `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  'schema/template.schema.json': () => `${JSON.stringify(templateJsonSchema(), null, 2)}\n`,
};
