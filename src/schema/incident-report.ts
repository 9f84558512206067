import { z } from 'zod';
import { INCIDENT_ID_PATTERN, type IncidentReport } from '../contract/incident-view.ts';
import {
  DAEMON_COMMANDS,
  INCIDENT_KINDS,
  ON_EXPIRY,
  RISKS,
  SEVERITIES,
} from '../domain/incidents/incident-words.ts';
import type { Json } from '../domain/messages/message.ts';
import { agentId, duration } from './fields.ts';
import { isDeeperThan } from './json-values.ts';
import { strict, textOf } from './problem.ts';

const MAX_DETAILS_CHARACTERS = 16_384;
const MAX_DEPTH = 32;

export const incidentId = textOf(
  'the id of an incident: 1 to 160 letters, digits and . _ : -, a letter or digit first, such as "disk-full"',
  INCIDENT_ID_PATTERN,
);

const line = z.string().max(2000).exactOptional();
const SUMMARY = 'a sentence that says what is wrong, such as "the disk is nearly full"';
const ACTION = 'a text, or a command of the daemon such as { "command": "restart", "agent_id": "w1" }';

const details = z
  .custom<Json>((value) => value !== undefined)
  .refine(
    (value) => !isDeeperThan(value, MAX_DEPTH) && JSON.stringify(value).length <= MAX_DETAILS_CHARACTERS,
    `JSON of at most ${MAX_DETAILS_CHARACTERS} characters and ${MAX_DEPTH} levels`,
  )
  .meta({ description: 'Any JSON, up to 16384 characters' });

const proposal = strict({
  action: z
    .union([z.string().min(1).max(2000), strict({ command: z.enum(DAEMON_COMMANDS), agent_id: agentId })], ACTION)
    .meta({ description: 'A command of the daemon, carried out once it is approved; or a text, then the asker does it' }),
  reason: z.string().min(1, 'a sentence that says why').max(2000),
  risk: z.enum(RISKS),
  expires: duration.exactOptional().meta({ description: 'A duration; without it, it never expires' }),
  on_expiry: z
    .enum(ON_EXPIRY)
    .exactOptional()
    .meta({ description: 'What it is when `expires` is over; only with `expires`' }),
}).refine(({ expires, on_expiry }) => on_expiry === undefined || expires !== undefined, {
  path: ['on_expiry'],
  message: 'proposal.expires beside it, such as "2h": what never expires needs no on_expiry',
});

/** The body of `POST /incidents`. */
export const incidentReportSchema = strict({
  incident_id: incidentId.exactOptional().meta({ description: 'The same id is the same incident; without it, a new one' }),
  kind: z.enum(INCIDENT_KINDS).exactOptional(),
  severity: z.enum(SEVERITIES).exactOptional(),
  summary: z.string(SUMMARY).regex(/\S/, SUMMARY).max(2000),
  agent_id: agentId.exactOptional(),
  value: line.meta({ description: 'What was seen, such as `CPU 95 %`' }),
  threshold: line.meta({ description: 'Which limit it passed, such as `90 %`' }),
  tried: line.meta({ description: 'What was tried, and what came of it' }),
  needed: line.meta({ description: 'What is needed now' }),
  details: details.exactOptional(),
  proposal: proposal.exactOptional().meta({ description: 'Makes it an approval' }),
}).meta({
  id: 'IncidentReport',
  examples: [
    {
      incident_id: 'disk-full',
      severity: 'warning',
      summary: 'the disk is nearly full',
      value: 'disk 95 %',
      threshold: '90 %',
      tried: 'old reports deleted: not enough',
      needed: 'somebody should make room',
    },
    {
      summary: 'data_market leaks',
      agent_id: 'data_market',
      proposal: { action: { command: 'restart', agent_id: 'data_market' }, reason: 'it leaks 1 GiB an hour', risk: 'low' },
    },
  ],
}) satisfies z.ZodType<IncidentReport>;

/** What somebody says when he acknowledges, resolves, reopens or decides. */
export const incidentWord = strict({
  by: z.string().min(1).max(100).exactOptional().meta({ description: 'Who says so; of an agent, always its id. Default: admin' }),
  note: z.string().max(2000).exactOptional(),
}).nullish();
