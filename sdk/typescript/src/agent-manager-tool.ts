import { FUNCTIONS, type FunctionSchema } from './functions.ts';
import { RestTransport } from './rest-transport.ts';
import {
  DaemonError,
  type ActionName,
  type AgentTransport,
  type Args,
  type Result,
  type Verb,
  type VerbOf,
} from './types.ts';

/** What `execute` takes: the action and its arguments, side by side. */
export type Action<Name extends ActionName = ActionName> = { action: Name } & Args<VerbOf<Name>>;

/**
 * The tool by which an agent manages others. It decides and executes nothing: each action is one call to the daemon,
 * which does what it says, or refuses with a reason.
 */
export class AgentManagerTool {
  /** JSON Schemas of all actions, for function calling. */
  static readonly functions: readonly FunctionSchema[] = FUNCTIONS;

  private readonly transport: AgentTransport;

  /** @param transport by default the REST API that the daemon names in the environment of each agent */
  constructor(transport: AgentTransport = RestTransport.fromEnvironment()) {
    this.transport = transport;
  }

  /** @throws DaemonError with the code of the daemon's refusal */
  execute<Name extends ActionName>(action: Action<Name>): Promise<Result<VerbOf<Name>>>;
  /** For what a language model has written: checked here. */
  execute(action: Record<string, unknown>): Promise<unknown>;
  async execute(given: object): Promise<unknown> {
    const { action, ...args } = given as Record<string, unknown>;
    const schema = schemaOf(action);
    check(schema, args);
    const verb = schema.name.slice('agent_'.length) as Verb;
    return (this.transport[verb] as (given: unknown) => Promise<unknown>).call(this.transport, args);
  }
}

function schemaOf(action: unknown): FunctionSchema {
  const name = typeof action === 'string' ? action.replace(/^agent[:.]/, 'agent_') : '';
  const schema = FUNCTIONS.find((known) => known.name === name);
  if (schema !== undefined) return schema;
  const known = FUNCTIONS.map((each) => each.name.replace('_', ':')).join(', ');
  throw new DaemonError('INVALID_REQUEST', `action is ${JSON.stringify(action)}; expected one of ${known}`);
}

/** The rest is checked by the daemon, which knows best. */
function check({ name, parameters }: FunctionSchema, args: Record<string, unknown>): void {
  const refuse = (field: string, says: string): never => {
    throw new DaemonError('INVALID_REQUEST', `${name.replace('_', ':')}: ${field} ${says}`, '', { field });
  };
  const { properties, required } = parameters;
  for (const field of required) if (args[field] === undefined) refuse(field, 'is missing');
  for (const [field, value] of Object.entries(args)) {
    if (value === undefined) continue;
    const property = properties[field];
    if (property === undefined) return refuse(field, `is not known; known: ${Object.keys(properties).join(', ')}`);
    const seen = typeof value === 'number' ? 'integer' : typeof value;
    if (seen !== property['type']) refuse(field, `is ${JSON.stringify(value)}; expected ${String(property['type'])}`);
  }
}
