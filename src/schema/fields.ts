import { z } from 'zod';
import { AGENT_ID_PATTERN, TEMPLATE_ID_PATTERN } from '../domain/ids.ts';
import { SIGNALS } from '../domain/stop-policy.ts';
import { DEPENDENCY_CONDITIONS } from '../domain/dependencies.ts';
import { health, limits } from './check-fields.ts';
import { duration } from './duration-field.ts';
import { strict, textOf } from './problem.ts';

export { duration } from './duration-field.ts';

const NAME = 'letters, digits, dot, underscore or hyphen, a letter or digit first';

export const agentId = textOf(`1 to 64 ${NAME}`, AGENT_ID_PATTERN);
export const templateId = textOf(`1 to 128 ${NAME}`, TEMPLATE_ID_PATTERN);
export const domainName = textOf(`the name of a fault domain: 1 to 64 ${NAME}`, AGENT_ID_PATTERN);
export const variableName = textOf(
  'a letter or underscore, then up to 63 letters, digits, underscores, dots or hyphens',
  /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/,
);

const filePath = z.string().min(1, 'a path').max(4096);

const envName = textOf(
  'a letter or underscore, then letters, digits or underscores; names that begin with OPENSTARRY_ are set by the daemon',
  /^(?!OPENSTARRY_)[A-Za-z_][A-Za-z0-9_]{0,255}$/,
);
const labelName = textOf(
  'a letter or digit, then up to 62 letters, digits, dots, underscores, slashes or hyphens',
  /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/,
);

const atMost = (max: number) => (map: object) => Object.keys(map).length <= max;

export const variables = z
  .record(variableName, z.union([z.string(), z.number(), z.boolean()]))
  .refine(atMost(256), 'at most 256 variables');
export const labels = z.record(labelName, z.string().max(256)).refine(atMost(64), 'at most 64 labels');
export const task = z.string().max(98_304);

export const backoff = strict({
  initial: duration.exactOptional(),
  factor: z.number().min(1).max(1000).exactOptional(),
  max: duration.exactOptional(),
  jitter: z.number().min(0).max(1).exactOptional(),
});

export const stop = strict({
  signal: z.enum(SIGNALS).exactOptional(),
  grace: duration.exactOptional(),
});

export const successExitCodes = z.array(z.int().min(0).max(255)).min(1).max(256);
export const restart = z.enum(['always', 'on-failure', 'never']);

const dependsOn = z
  .union(
    [z.array(agentId), z.record(agentId, z.enum(DEPENDENCY_CONDITIONS))],
    'a list of agents, or agents with what they must be: { message_store: ready } (started, ready or completed)',
  )
  .refine((given) => Object.keys(given).length <= 64, 'at most 64 agents');

/** How an agent is launched and watched: the fields that a template may give a default for. */
export const launchFields = {
  task: task.exactOptional(),
  fault_domain: domainName.exactOptional(),
  command: z
    .array(z.string(), 'a list: the program and its arguments, such as [python3, agent.py]; it is not run by a shell')
    .min(1, 'at least the program')
    .max(4096)
    .refine((argv) => argv[0] !== '', 'a program as its first entry')
    .exactOptional(),
  env: z.record(envName, z.string()).refine(atMost(1024), 'at most 1024 variables').exactOptional(),
  env_file: filePath.exactOptional(),
  cwd: filePath.exactOptional(),
  stdin: z.string().exactOptional(),
  restart: restart.exactOptional(),
  success_exit_codes: successExitCodes.exactOptional(),
  backoff: backoff.exactOptional(),
  reset_after: duration.exactOptional(),
  stop: stop.exactOptional(),
  user: textOf('the name or uid of a user of the machine', /^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\$?$/).exactOptional(),
  kill_mode: z.enum(['tree', 'process']).exactOptional(),
  health: health.exactOptional(),
  limits: limits.exactOptional(),
  depends_on: dependsOn.exactOptional(),
  wake_on_message: z.boolean().exactOptional(),
  autostart: z.boolean().exactOptional(),
  may: strict({ start: z.array(templateId).max(256) }).exactOptional(),
};
