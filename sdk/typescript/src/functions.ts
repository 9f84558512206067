import type { Verb } from './types.ts';

/** A function as language models are told of it: its name, what it does, and the JSON Schema of its arguments. */
export interface FunctionSchema {
  name: `agent_${Verb}`;
  description: string;
  parameters: {
    type: 'object';
    properties: Record<string, Record<string, unknown>>;
    required: string[];
    additionalProperties: false;
  };
}

const ID = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$';
const agent_id = { type: 'string', pattern: ID, description: 'Name of the agent' };
const template_id = { type: 'string', description: 'Template of the Agent Design Layer that says how it is run' };

const describe = (
  verb: Verb,
  description: string,
  properties: Record<string, Record<string, unknown>>,
  required: string[],
): FunctionSchema => ({
  name: `agent_${verb}`,
  description,
  parameters: { type: 'object', properties, required, additionalProperties: false },
});

const one = { agent_id };

/** All verbs, for function calling. */
export const FUNCTIONS: readonly FunctionSchema[] = [
  describe(
    'start',
    'Create an agent from a template and wait until its process runs',
    {
      agent_id,
      template_id,
      variables: {
        type: 'object',
        additionalProperties: { type: ['string', 'number', 'boolean'] },
        description: "Values for the template's variables",
      },
      labels: { type: 'object', additionalProperties: { type: 'string' }, description: 'For selecting agents' },
      task: { type: 'string', description: 'A text for the agent: what it is to do' },
    },
    ['agent_id', 'template_id'],
  ),
  describe(
    'stop',
    'End an agent and delete it: its whole process tree is gone afterwards, and its name can be used again',
    { agent_id, grace: { type: 'string', description: 'Time it has to end by itself, such as "5s"' } },
    ['agent_id'],
  ),
  describe('status', 'How an agent is, and why', one, ['agent_id']),
  describe(
    'list',
    'All agents, or those of a state or template',
    { state: { type: 'string', description: 'Such as running or disabled' }, template_id },
    [],
  ),
  describe('restart', 'End the process of an agent and start it again', one, ['agent_id']),
  describe(
    'signal',
    'Send a signal to the process of an agent',
    { agent_id, name: { type: 'string', description: 'Such as SIGHUP' } },
    ['agent_id', 'name'],
  ),
  describe('pause', 'Hold the processes of an agent', one, ['agent_id']),
  describe('resume', 'Let a paused agent go on', one, ['agent_id']),
  describe(
    'logs',
    'The last lines of what an agent has written',
    { agent_id, tail: { type: 'integer', minimum: 1, maximum: 10_000, description: 'How many; 100 by default' } },
    ['agent_id'],
  ),
];
