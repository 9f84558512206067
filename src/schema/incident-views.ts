/** What the API answers about incidents and approvals, as schemas. */
import { z } from 'zod';
import type { NoticeTestResult } from '../contract/incident-activities.ts';
import type { IncidentView } from '../contract/incident-view.ts';
import type { Shown } from '../contract/shown.ts';
import { DAEMON_ID } from '../domain/ids.ts';
import {
  DAEMON_COMMANDS,
  INCIDENT_KINDS,
  ON_EXPIRY,
  RISKS,
  SEVERITIES,
  type IncidentStatus,
} from '../domain/incidents/incident-words.ts';
import type { Json } from '../domain/messages/message.ts';
import { stale } from './stale.ts';

const instant = z.string().meta({ format: 'date-time' });
const json = z.custom<Json>((value) => value !== undefined).meta({ description: 'Any JSON' });
const text = z.string().nullable();

const STATES = ['open', 'acknowledged', 'resolved'] as const;
export const incidentState = z.enum(STATES) satisfies z.ZodType<IncidentStatus>;
export const severity = z.enum(SEVERITIES);

const EXAMPLE: Shown<IncidentView> = {
  incident_id: 'agent.data_market.2',
  kind: 'give_up',
  severity: 'critical',
  state: 'open',
  summary: 'gave up: 4 failures within 5 min; generation 4 exited with code 1 after 2.1 s',
  agent_id: 'data_market',
  value: '4 failures within 5 min',
  threshold: '4',
  tried: 'AutoHeal tried: 3 restarts, failed',
  needed: 'manual work needed: find the cause, then start it again',
  details: null,
  count: 2,
  opened_at: '2026-01-01T09:00:00.000Z',
  updated_at: '2026-01-01T09:00:04.000Z',
  opened_by: DAEMON_ID,
  acknowledged: null,
  resolved: null,
  proposal: null,
  decision: null,
  execution: null,
  deliveries: [
    {
      id: 'agent.data_market.2/1c2f5a7d9b10.1',
      channel: 'ops',
      about: 'opened',
      state: 'sent',
      attempts: 1,
      at: '2026-01-01T09:00:04.000Z',
      reason: null,
    },
  ],
  history: [{ at: '2026-01-01T09:00:00.000Z', says: 'opened by _daemon: 3 failures in a row' }],
  workflow_id: 'incident/agent.data_market.2',
  stale: false,
};

export const incidentView = z
  .object({
    incident_id: z.string(),
    kind: z.enum(INCIDENT_KINDS),
    severity,
    state: incidentState,
    summary: z.string(),
    agent_id: text,
    value: text.meta({ description: 'What was seen' }),
    threshold: text.meta({ description: 'Which limit it passed' }),
    tried: text,
    needed: text,
    details: json,
    count: z.int().min(1).meta({ description: 'How often it was reported' }),
    opened_at: instant,
    updated_at: instant,
    opened_by: z.string().meta({ description: 'An agent id, `admin`, `temporal` or `_daemon`' }),
    acknowledged: z.object({ by: z.string(), at: instant }).nullable(),
    resolved: z.object({ by: z.string(), at: instant, reason: text }).nullable(),
    proposal: z
      .object({
        action: z.union([z.string(), z.object({ command: z.enum(DAEMON_COMMANDS), agent_id: z.string() })]),
        reason: z.string(),
        risk: z.enum(RISKS),
        expires_at: instant.nullable(),
        on_expiry: z.enum(ON_EXPIRY),
      })
      .nullable()
      .meta({ description: 'Null unless it is an approval' }),
    decision: z
      .object({
        verdict: z.enum(['approved', 'rejected']),
        by: z.string(),
        via: z.enum(['api', 'temporal', 'rule', 'expiry']),
        at: instant,
        note: text,
      })
      .nullable()
      .meta({ description: 'Null while it waits for one' }),
    execution: z
      .object({ state: z.enum(['pending', 'done', 'failed']), message: z.string(), at: instant.nullable() })
      .nullable()
      .meta({ description: 'Of a command of the daemon that was approved' }),
    deliveries: z
      .array(
        z.object({
          id: z.string(),
          channel: z.string().meta({ description: 'Name of a channel, `chief`, or `people` where there is no channel' }),
          about: z.enum(['opened', 'updated', 'reminder', 'decided', 'resolved']),
          state: z.enum(['under_way', 'sent', 'deferred', 'failed', 'skipped']),
          attempts: z.int().min(0),
          at: instant,
          reason: text,
        }),
      )
      .meta({ description: 'Who was told, and what came of it; the latest 50' }),
    history: z.array(z.object({ at: instant, says: z.string() })).meta({ description: 'The latest 50' }),
    workflow_id: z.string(),
    stale,
  })
  .meta({ id: 'Incident', examples: [EXAMPLE] }) satisfies z.ZodType<Shown<IncidentView>>;

export const incidentPage = z
  .object({
    incidents: z.array(incidentView),
    next_cursor: z.string().nullable().meta({ description: 'For `cursor` of the next call; null at the end' }),
  })
  .meta({ id: 'IncidentPage' });

export const noticeTest = z
  .object({
    results: z.array(
      z.object({ channel: z.string(), ok: z.boolean(), reason: text }) satisfies z.ZodType<NoticeTestResult>,
    ),
  })
  .meta({ id: 'NoticeTest', examples: [{ results: [{ channel: 'ops', ok: true, reason: null }] }] });
