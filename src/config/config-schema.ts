import { z } from 'zod';
import { BUILT_IN_FAULT_DOMAINS, type BuiltInFaultDomain } from '../domain/fault-domains.ts';
import { agentId, backoff, domainName, duration, restart, stop, successExitCodes } from '../schema/fields.ts';
import { strict, textOf } from '../schema/problem.ts';
import { agentSchedule } from '../schema/schedule-input.ts';
import { escalation } from './escalation-schema.ts';
import { messagingFields } from './messaging-settings.ts';
import { plugin } from './plugin-settings.ts';
import { flag, numeric, text } from './setting-fields.ts';
import { size } from '../schema/size-field.ts';

const port = numeric(z.int().min(0).max(65_535)).exactOptional();
const amount = numeric(z.int().min(1).max(1_000_000));

const giveUp = z.union(
  [z.literal('never'), strict({ failures: amount, within: duration }), strict({ consecutive: amount })],
  'never, { failures: 4, within: 5m } or { consecutive: 6 }',
);

const BUILT_IN = Object.keys(BUILT_IN_FAULT_DOMAINS) as [BuiltInFaultDomain, ...BuiltInFaultDomain[]];

const faultDomain = strict({
  base: z.enum(BUILT_IN).exactOptional(),
  restart: restart.exactOptional(),
  backoff: backoff.exactOptional(),
  reset_after: duration.exactOptional(),
  success_exit_codes: successExitCodes.exactOptional(),
  give_up: giveUp.exactOptional(),
  // oxlint-disable-next-line unicorn/no-thenable -- a word of the configuration; this is awaited nowhere, and holds no function
  then: z.enum(['disable', 'fail_stop']).exactOptional(),
  incident_after: amount.exactOptional(),
});
export type FaultDomainSettings = z.infer<typeof faultDomain>;

const address = textOf('host:port, such as temporal.example.com:7233', /^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/);
const files = strict({
  ca: text.exactOptional(),
  cert: text.exactOptional(),
  key: text.exactOptional(),
  server_name: text.exactOptional(),
});

/** Agents are checked one by one, by what checks the body of `POST /agents`. */
const agentFields = z.record(z.string(), z.unknown());

export const configSchema = strict({
  version: z.literal(1).exactOptional(),
  design_layer: strict({
    path: text.exactOptional(),
    url: textOf('an http or https URL', /^https?:\/\/[^\s/?#]+[^\s?#]*$/).exactOptional(),
    token: strict({ from_env: text }).exactOptional(),
  }).exactOptional(),
  registry: strict({
    path: text.exactOptional(),
    python_entry_points: textOf(
      'the name of a group, such as trading.agents',
      /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
    ).exactOptional(),
    python: text.exactOptional(),
  }).exactOptional(),
  master: agentFields.exactOptional(),
  chief: agentId.exactOptional(),
  fault_domains: z.record(domainName, faultDomain).exactOptional(),
  defaults: strict({
    backoff: backoff.exactOptional(),
    reset_after: duration.exactOptional(),
    stop: stop.exactOptional(),
  }).exactOptional(),
  agents: z.record(agentId, agentFields).exactOptional(),
  schedule: z.record(agentId, agentSchedule).exactOptional(),
  logs: strict({ min_free: size.exactOptional() }).exactOptional(),
  ...messagingFields,
  escalation: escalation.exactOptional(),
  plugins: strict({ bus: plugin.exactOptional(), state: plugin.exactOptional() }).exactOptional(),
  ports: strict({ api: port, health: port, metrics: port, temporal: port, ui: port }).exactOptional(),
  temporal: strict({
    address: address.exactOptional(),
    namespace: text.exactOptional(),
    tls: z.union([flag, files], 'true, false or { ca, cert, key, server_name }').exactOptional(),
    require_signed: flag.exactOptional(),
    api_key: strict({ from_env: text }).exactOptional(),
  }).exactOptional(),
});
export type ConfigFile = z.infer<typeof configSchema>;
