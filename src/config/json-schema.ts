import { z } from 'zod';
import { agentRequestSchema } from '../schema/agent-input.ts';
import { duration } from '../schema/fields.ts';
import { agentSchedule } from '../schema/schedule-input.ts';
import { templateSchema } from '../schema/template.ts';
import { UNSIGNED_FIELDS } from '../contract/agent-input.ts';
import { configSchema } from './config-schema.ts';
import {
  AGENT_FIELDS,
  FAULT_DOMAIN_FIELDS,
  QUEUE_FIELDS,
  SETTINGS,
  TEMPLATE_FIELDS,
  VARIABLE_FIELDS,
  type Documented,
} from './documentation.ts';

interface JsonSchema {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  required?: string[];
  anyOf?: JsonSchema[];
  description?: string;
  [keyword: string]: unknown;
}

type Table = Record<string, Documented>;

/** For editors: what `openstarry.yaml` may hold. */
export function configJsonSchema(): JsonSchema {
  const whole = schemaOf(configSchema);
  const properties = whole.properties as Record<string, JsonSchema>;
  describe(whole, SETTINGS);
  const domains = properties['fault_domains']?.additionalProperties;
  if (typeof domains === 'object') describe(domains, FAULT_DOMAIN_FIELDS);
  const queues = properties['queues']?.additionalProperties;
  if (typeof queues === 'object') describe(queues, QUEUE_FIELDS);
  const agent = describe(schemaOf(agentRequestSchema), AGENT_FIELDS);
  // In the file the key is the agent's id.
  const { agent_id: _id, ...fields } = agent.properties as Record<string, JsonSchema>;
  const { required: _required, ...entry } = agent;
  properties['agents'] = { ...properties['agents'], additionalProperties: { ...entry, properties: fields } };
  properties['master'] = { ...agent, description: properties['master']?.description ?? '' };
  return titled('OpenStarry Orchestrator Daemon: openstarry.yaml', whole);
}

/** For editors: what a template may hold. */
export function templateJsonSchema(): JsonSchema {
  const { agent_id: _id, template_id: _template, labels: _labels, ...fields } = AGENT_FIELDS;
  const whole = describe(schemaOf(templateSchema), { ...fields, ...TEMPLATE_FIELDS });
  const variable = whole.properties?.['variables']?.additionalProperties;
  if (typeof variable === 'object') describe(variable, VARIABLE_FIELDS);
  return titled('OpenStarry Orchestrator Daemon: a template', whole);
}

/** Names of settings and fields that nobody has documented; and of documentation that is for nothing. */
export function undocumented(): string[] {
  const { $schema: _schema, ...config } = schemaOf(configSchema);
  const domains = config.properties?.['fault_domains']?.additionalProperties;
  const queues = config.properties?.['queues']?.additionalProperties;
  const variables = schemaOf(templateSchema).properties?.['variables']?.additionalProperties;
  return [
    ...gaps('', config, SETTINGS),
    ...gaps('fault_domains.<name>.', domains as JsonSchema, FAULT_DOMAIN_FIELDS),
    ...gaps('queues.<name>.', queues as JsonSchema, QUEUE_FIELDS),
    ...gaps('agents.<id>.', schemaOf(agentRequestSchema), AGENT_FIELDS),
    ...gaps('variables.<name>.', variables as JsonSchema, VARIABLE_FIELDS),
  ];
}

/** A table in Markdown. Fields that need a signature are marked. */
export function markdownTable(head: string, table: Table, options: { signed?: boolean } = {}): string {
  const unsigned: readonly string[] = UNSIGNED_FIELDS;
  const mark = (name: string): string => (options.signed && !unsigned.includes(name) ? ' *' : '');
  const rows = Object.entries(table).map(
    ([name, { default: standard, meaning }]) => `| \`${name}\`${mark(name)} | ${standard} | ${meaning} |`,
  );
  return [`| ${head} | Default | Meaning |`, '|---|---|---|', ...rows].join('\n');
}

function schemaOf(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: 'output',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      if ((zodSchema as unknown) === duration) {
        Object.assign(jsonSchema, {
          type: ['string', 'integer'],
          pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$',
          const: undefined,
        });
        jsonSchema.examples = ['500ms', '5s', '1.5h'];
      } else if ((zodSchema as unknown) === agentSchedule) {
        orElse(jsonSchema as JsonSchema, { type: 'string', examples: ['30 9 * * 1-5'] });
      } else if (isConverted(zodSchema)) {
        // Settings of the daemon may be references to its environment, also where they are no texts.
        orElse(jsonSchema as JsonSchema, { type: 'string', pattern: '^\\$\\{' });
      }
    },
  }) as JsonSchema;
}

function orElse(schema: JsonSchema, other: JsonSchema): void {
  const { ...own } = schema;
  for (const key of Object.keys(schema)) delete schema[key];
  schema.anyOf = [own, other];
}

const isConverted = (schema: z.core.$ZodType): boolean =>
  schema instanceof z.ZodPipe && schema.def.in instanceof z.ZodTransform;

/** Writes what the table says into the properties that it names. */
function describe(schema: JsonSchema, table: Table, prefix = ''): JsonSchema {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const known = table[`${prefix}${name}`];
    if (known === undefined) describe(property, table, `${prefix}${name}.`);
    else property.description = plain(known);
  }
  return schema;
}

const plain = ({ default: standard, meaning }: Documented): string =>
  `${meaning}${standard === '' ? '' : ` Default: ${standard}.`}`
    .replaceAll(/\[([^\]]+)\]\(#[^)]*\)/g, '$1')
    .replaceAll('`', '');

function gaps(where: string, schema: JsonSchema, table: Table): string[] {
  const met = new Set<string>();
  const missing = missingIn(schema, table, '', met);
  const useless = Object.keys(table).filter((name) => !met.has(name));
  return [
    ...missing.map((name) => `${where}${name} has no sentence in src/config/documentation.ts`),
    ...useless.map((name) => `${where}${name} has a sentence in src/config/documentation.ts, but does not exist`),
  ];
}

function missingIn(schema: JsonSchema, table: Table, prefix: string, met: Set<string>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const full = `${prefix}${name}`;
    if (Object.hasOwn(table, full)) {
      met.add(full);
      return [];
    }
    const hasRows = Object.keys(table).some((known) => known.startsWith(`${full}.`));
    return hasRows ? missingIn(property, table, `${full}.`, met) : [full];
  });
}

const titled = (title: string, { $schema, ...schema }: JsonSchema): JsonSchema => ({ $schema, title, ...schema });
