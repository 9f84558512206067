import { z } from 'zod';
import { GLOB_PATTERN } from '../domain/incidents/agent-glob.ts';
import { DAEMON_COMMANDS, RISKS } from '../domain/incidents/incident-words.ts';
import { parseClock } from '../domain/incidents/quiet-hours.ts';
import { duration } from '../schema/duration-field.ts';
import { strict, textOf } from '../schema/problem.ts';

const channelName = textOf(
  'the name of a channel: 1 to 64 letters, digits, dots, underscores or hyphens, a letter or digit first',
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
);
const text = z.string().min(1, 'a text').max(4096);
const fromEnv = strict({ from_env: text });

const CLOCK_FORM = 'a time of the day in quotes, such as "23:00"';
const clock = z.string(CLOCK_FORM).refine((given) => parseClock(given) !== undefined, CLOCK_FORM);

/** Which fields go with which type is checked by `escalationOf`, whose messages show no secret. */
const channel = strict({
  name: channelName.exactOptional(),
  type: z.enum(['slack', 'webhook', 'command', 'imessage']),
  url: z.union([text, fromEnv], 'a URL, or { from_env: NAME }').exactOptional(),
  secret: z.union([fromEnv], '{ from_env: NAME }: a secret does not stand in the file').exactOptional(),
  command: z
    .array(z.string(), 'a list: the program and its arguments; it is not run by a shell')
    .min(1, 'at least the program')
    .max(256)
    .exactOptional(),
  to: text.exactOptional(),
});
export type ChannelFields = z.infer<typeof channel>;

const route = z.array(channelName).max(32).exactOptional();

export const escalation = strict({
  chief_ack: duration.exactOptional(),
  reminders: z.union([z.literal('never'), duration], 'a duration such as "1h", or never').exactOptional(),
  channels: z.array(channel).max(32).exactOptional(),
  routes: strict({ info: route, warning: route, critical: route }).exactOptional(),
  quiet_hours: strict({ start: clock, end: clock, timezone: text.exactOptional() }).exactOptional(),
  auto_approve: z
    .array(
      strict({
        command: z.enum(DAEMON_COMMANDS),
        agent_id: textOf('a pattern of agent ids, such as "data_*"', GLOB_PATTERN).exactOptional(),
        risk: z.enum(RISKS).exactOptional(),
      }),
    )
    .max(256)
    .exactOptional(),
});
