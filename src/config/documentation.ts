/** What each setting means: the one home of these sentences. The JSON Schema and docs/configuration.md are made from it. */

export interface Documented {
  /** In Markdown; empty where there is none. */
  default: string;
  meaning: string;
}

type Table = Record<string, Documented>;

const row = (standard: string, meaning: string): Documented => ({ default: standard, meaning });

/** Settings of the file, by dotted name. A name stands for its members too, unless they have rows of their own. */
export const SETTINGS: Table = {
  version: row('`1`', 'Version of this format.'),
  'design_layer.path': row('`./templates`', 'Folder of the [templates](#templates).'),
  'design_layer.url': row(
    'none',
    'Instead of a folder: a service that answers `GET <url>/templates/<id>` and `GET <url>/templates`, see [below](#a-design-layer-over-http).',
  ),
  'design_layer.token.from_env': row('none', 'Name of the variable that holds the bearer token for the service.'),
  master: row(
    'none',
    'The Master Agent: the fields of an agent with its `agent_id`. It is started first; its `fault_domain` is `master` unless it names another.',
  ),
  chief: row('the master', 'Id of the agent that receives escalations. It must be an agent of this file.'),
  'escalation.chief_ack': row('`5m`', 'How long the chief has to acknowledge an incident before people are told.'),
  'escalation.reminders': row(
    '`1h`',
    'How often people are reminded of an incident that nobody has acknowledged, or `never`.',
  ),
  'escalation.channels': row('none', 'How people are reached, see [Escalation](#escalation).'),
  'escalation.routes': row(
    'all channels, in their order',
    'For `info`, `warning` and `critical` the names of channels: the first that takes a notice is enough.',
  ),
  'escalation.quiet_hours': row(
    'none',
    '`start` and `end` (`"23:00"`) and `timezone` (`UTC`): only critical notices are sent then, the rest when they end.',
  ),
  'escalation.auto_approve': row(
    'none',
    'A list of `command`, `agent_id` (a pattern, `*`) and `risk` (`low`, the highest that it covers): such proposals are approved at once.',
  ),
  'registry.path': row(
    'none',
    'A folder in which every executable and every `.py`, `.js`, `.mjs` or `.cjs` file is an agent, see [below](#registry).',
  ),
  'registry.python_entry_points': row(
    'none',
    'A group of entry points of installed Python packages, each of which is an agent, see [below](#registry).',
  ),
  'registry.python': row('`python3`', 'The interpreter whose packages are looked at, and which runs them.'),
  fault_domains: row('the built-in ones', 'Restart policies by name, see [below](#fault-domains).'),
  'defaults.backoff': row(
    '`initial: 500ms`, `factor: 2`, `max: 60s`, `jitter: 0.1`',
    'Delay before a restart, for all fault domains. `initial: 0ms` restarts at once.',
  ),
  'defaults.reset_after': row(
    '`60s`',
    'A process that has lived this long counts as stable, which ends a failing episode. Under `restart: always` a success before that counts as a failure.',
  ),
  'defaults.stop': row(
    '`signal: SIGTERM`, `grace: 10s`',
    'The first signal of a stop, and how long after it SIGKILL follows for what is left of the process tree.',
  ),
  agents: row('none', 'Agents by id, see [below](#agents).'),
  schedule: row(
    'none',
    'Schedules by the id of their agent: a cron expression, or all that the field `schedule` of an agent takes. See [schedules](schedules.md).',
  ),
  'logs.min_free': row(
    '`100MiB`; a twentieth of a disk under 2 GiB',
    'With less free space on the disk of the state directory, old logs are removed, then the largest is cut. `0B`: never.',
  ),
  queues: row('none', 'Work queues by name, see [below](#queues).'),
  'messages.lease': row('`60s`', 'How long a receiver has for a message before it is handed out again.'),
  'messages.attempts': row('`5`', 'Handed out this often without being acknowledged, a message becomes a dead letter.'),
  'messages.retry': row(
    '`initial: 1s`, `factor: 2`, `max: 60s`, `jitter: 0.1`',
    'How long a message that was given back (nack) waits for its next attempt.',
  ),
  'messages.ttl': row(
    '`7d`',
    'After this time a message without a `ttl` of its own becomes a dead letter. `never` keeps it.',
  ),
  'messages.max_messages': row('`200000`', 'Messages that a queue holds. More are refused.'),
  'messages.max_per_sender': row('`150000`', 'Of them, from one sender.'),
  'messages.ageing': row('`30s`', 'For each such time that it waits, a message gains one step of priority.'),
  'messages.dead_letters_kept': row('`7d`', 'Dead letters that are older are deleted.'),
  'messages.max_bytes': row(
    '`10GiB`',
    'At about this size the message database takes no new message or event; everything else goes on. A Redis has its `maxmemory`.',
  ),
  'messages.types': row(
    'none',
    "Your own message types: a name and the file of a JSON Schema (draft 2020-12), which payloads must follow. Other types are accepted as they are; the daemon's own have schemas of their own.",
  ),
  'state.max_bytes': row(
    '`1GiB`',
    'The same for the state of agents: at this size a value may only be replaced by one that is not longer.',
  ),
  'topics.keep': row('`10000`', 'Events that are kept of each topic.'),
  'topics.keep_for': row('`24h`', 'And for how long.'),
  'plugins.bus.use': row(
    '`sqlite`',
    'What keeps messages and topics: `sqlite` (in the state directory), `redis`, or the name or path of a plugin, see [below](#plugins).',
  ),
  'plugins.state.use': row('`sqlite`', "The same for agents' state."),
  'ports.api': row('`5050`', 'The API. 0 takes any free port, for this and the others.'),
  'ports.health': row('`8000`', '`/healthz`.'),
  'ports.metrics': row('`8001`', '`/metrics`.'),
  'ports.temporal': row('`7233`', 'The embedded Temporal server.'),
  'ports.ui': row('`8233`', "Temporal's Web UI."),
  'temporal.address': row('embedded server', '`host:port` of a Temporal cluster. `TEMPORAL_ADDRESS` comes first.'),
  'temporal.namespace': row('`default`', '`TEMPORAL_NAMESPACE` comes first.'),
  'temporal.tls': row(
    '`false`; `true` with an API key',
    '`true`, `false`, or `{ ca, cert, key, server_name }` with paths of PEM files.',
  ),
  'temporal.api_key.from_env': row(
    'none',
    'Name of the variable that holds the API key. `TEMPORAL_API_KEY` comes first.',
  ),
  'temporal.require_signed': row(
    '`false`',
    'Refuse every agent and definition that is not signed by the API or this file. Commands carry no signature and are not covered: start, stop, restart, pause, resume, delete, signal.',
  ),
};

/** Fields of an agent. Those that can run any program need a signature. */
export const AGENT_FIELDS: Table = {
  agent_id: row('', '1 to 64 letters, digits, `.`, `_` or `-`, a letter or digit first. In this file it is the key.'),
  template_id: row('none', 'The template that it is started from.'),
  variables: row('none', "Values for the template's variables: texts, numbers, true or false."),
  labels: row('none', 'Up to 64 names with texts, for selecting agents.'),
  task: row(
    'none',
    'A text for the agent: `{{task}}`, and `OPENSTARRY_TASK` in its environment. Up to 98,304 characters.',
  ),
  fault_domain: row('`default`', 'The restart policy.'),
  command: row("the template's", 'Program and arguments as a list. No shell is involved.'),
  env: row('none', "Variables. Names that begin with `OPENSTARRY_` are the daemon's."),
  env_file: row('none', 'A file of `NAME=value` lines, read at each start. `env` comes first.'),
  cwd: row('the folder of this file', 'Working directory.'),
  stdin: row('`/dev/null`', 'Text for the standard input.'),
  restart: row(
    "the fault domain's",
    '`always`, `on-failure` or `never`. Under `always` an exit code of success before `reset_after` counts as a failure: what is meant to run for ever has left at once.',
  ),
  success_exit_codes: row('`[0]`', 'Exit codes that are no failure.'),
  backoff: row("the fault domain's", 'Delay before a restart: `initial`, `factor`, `max` and `jitter`.'),
  reset_after: row("the fault domain's", 'A process that has lived this long counts as stable.'),
  stop: row('`defaults.stop`', '`signal` and `grace`.'),
  user: row(
    "the daemon's",
    'Name or uid of the user that it runs as, without supplementary groups; only where the daemon runs as root. `HOME`, `USER` and `LOGNAME` are those of that user.',
  ),
  kill_mode: row(
    '`tree`',
    '`process`: a stop signals the main process alone, and what it leaves behind runs on, unwatched.',
  ),
  health: row('none', '`startup`, `readiness` and `liveness`, see [Health](#health).'),
  depends_on: row(
    'none',
    'Agents that must be there first, and that are stopped after it: a list, or `{ message_store: ready }` with `started`, `ready` or `completed`. A restart after a failure does not wait again.',
  ),
  limits: row('none', '`memory`, `cpu`, `for` and `action`, see [Limits](#limits).'),
  wake_on_message: row(
    '`false`',
    'A message that comes while the agent is stopped or completed starts it. One that is disabled or paused is left alone.',
  ),
  autostart: row(
    '`true`; `false` with a schedule of mode `run`',
    'If `false`, it is made, but does not run before somebody, or its schedule, starts it.',
  ),
  schedule: row('none', 'When it is called: a cron expression, or a mapping. See [schedules](schedules.md).'),
  may: row('none', '`start`: templates from which the agent may start agents with its own token.'),
};

/** Fields of a declared fault domain. */
export const FAULT_DOMAIN_FIELDS: Table = {
  base: row('the built-in of that name, else `default`', 'The built-in domain to start from.'),
  restart: row('of the base', 'As for an agent, which may still override it.'),
  backoff: row('of the base', 'As for an agent, which may still override it.'),
  reset_after: row('of the base', 'As for an agent, which may still override it.'),
  success_exit_codes: row('of the base', 'As for an agent, which may still override it.'),
  give_up: row('of the base', '`{ failures: 4, within: 5m }`, `{ consecutive: 6 }` or `never`.'),
  // oxlint-disable-next-line unicorn/no-thenable -- a word of the configuration; this is awaited nowhere
  then: row('of the base', '`disable` or `fail_stop`.'),
  incident_after: row('of the base', 'Consecutive failures at which an incident opens.'),
};

/** Fields of a work queue. */
export const QUEUE_FIELDS: Table = {
  members: row('any agent', 'Who receives from it: a list of agent ids, or `{ labels: { role: analyst } }`.'),
  concurrency: row('no limit', 'Messages that are handed out at the same time, to all together.'),
  per_consumer: row('no limit', 'Messages that are handed out at the same time to one agent.'),
  lease: row('`messages.lease`', 'How long a receiver has for a message before it is handed out again.'),
  attempts: row('`messages.attempts`', 'Handed out this often without being acknowledged, it becomes a dead letter.'),
  retry: row('`messages.retry`', 'How long a message that was given back (nack) waits for its next attempt.'),
  ttl: row('`messages.ttl`', 'For messages without a `ttl` of their own; `never` keeps them.'),
  max_messages: row('`messages.max_messages`', 'Messages that it holds. More are refused.'),
  max_per_sender: row('`messages.max_per_sender`', 'Of them, from one sender.'),
};

/** Fields that only a template has. */
export const TEMPLATE_FIELDS: Table = {
  id: row('the name of the file', 'May be left out; else it must be the name that the template is found by.'),
  description: row('none', 'For people.'),
  variables: row('none', 'The variables that an agent may give values for, by name.'),
};

/** Fields of a variable of a template. */
export const VARIABLE_FIELDS: Table = {
  type: row('`string`', '`string`, `number` or `boolean`. A value of another type is refused, not converted.'),
  default: row('none', 'Taken where the agent gives no value.'),
  required: row('`true` without a default', 'If `false`, a missing value is an empty text.'),
  pattern: row('none', 'A regular expression that the whole value must match.'),
  description: row('none', 'For people.'),
};
