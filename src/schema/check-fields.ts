/** `health` and `limits` of an agent, as they are written. */
import { z } from 'zod';
import { parsePercent, PERCENT_FORM } from '../domain/percent.ts';
import { duration } from './duration-field.ts';
import { strict } from './problem.ts';
import { size } from './size-field.ts';

const TCP_FORM = 'a port, or host:port in quotes, such as 9000 or "127.0.0.1:9000"';

const check = {
  http: z
    .string()
    .max(2000)
    .regex(/^(?:https?:\/\/|\{\{)/, 'a URL that begins with http:// or https://')
    .exactOptional(),
  tcp: z.union([z.int(TCP_FORM).min(1, TCP_FORM).max(65_535, TCP_FORM), z.string(TCP_FORM).max(300)]).exactOptional(),
  exec: z
    .array(z.string(), 'a list: the program and its arguments; exit code 0 is a success')
    .min(1, 'at least the program')
    .max(256)
    .exactOptional(),
};

const times = {
  initial_delay: duration.exactOptional(),
  period: positive(duration).exactOptional(),
  timeout: positive(duration).exactOptional(),
  failure_threshold: z.int().min(1).max(1000).exactOptional(),
};

const readiness = strict({ ...check, ...times, success_threshold: z.int().min(1).max(1000).exactOptional() });
/** One success is enough, as in Kubernetes. */
const startup = strict({ ...check, ...times });
const liveness = strict({ ...check, ...times, heartbeat: positive(duration).exactOptional() });

const KINDS = ['http', 'tcp', 'exec', 'heartbeat'] as const;
const kindsOf = (probe: object): string[] => KINDS.filter((kind) => Object.hasOwn(probe, kind));

function oneOf<Schema extends z.ZodType<object>>(schema: Schema, kinds: string) {
  return schema.refine((probe) => kindsOf(probe).length === 1, `exactly one of ${kinds}`);
}

/** The agent says that it lives; there is nothing to ask it, how often, or how long. */
const HEARTBEAT_FIELDS: ReadonlySet<string> = new Set(['heartbeat', 'initial_delay']);

export const health = strict({
  startup: oneOf(startup, 'http, tcp, exec').exactOptional(),
  readiness: oneOf(readiness, 'http, tcp, exec').exactOptional(),
  liveness: oneOf(liveness, 'http, tcp, exec, heartbeat')
    .refine(
      (probe) => !('heartbeat' in probe) || Object.keys(probe).every((name) => HEARTBEAT_FIELDS.has(name)),
      'with heartbeat nothing else but initial_delay',
    )
    .exactOptional(),
});

export const limits = strict({
  memory: size.exactOptional(),
  cpu: z.string(PERCENT_FORM).refine(reads(parsePercent), PERCENT_FORM).exactOptional(),
  for: duration.exactOptional(),
  action: z.enum(['notify', 'restart', 'stop', 'kill']).exactOptional(),
});

function positive(schema: typeof duration) {
  return schema.refine((text) => !/^0(?:\.0*)?[a-z]*$/.test(text), 'a duration above 0');
}

function reads(parse: (text: string) => unknown): (text: string) => boolean {
  return (text) => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
}
