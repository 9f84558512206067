import path from 'node:path';
import { DEFAULT_ESCALATION, type ChannelSettings, type EscalationSettings } from '../contract/escalation.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { SEVERITIES, type Severity } from '../domain/incidents/incident-words.ts';
import { parseClock, type QuietHours } from '../domain/incidents/quiet-hours.ts';
import { checkTimeZone } from '../domain/schedules/time-zone.ts';
import { nearest } from '../schema/nearest.ts';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';
import type { ChannelFields } from './escalation-schema.ts';
import { secretOf } from './secret-setting.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type Given = NonNullable<ConfigFile['escalation']>;

/** Words for somebody who is told and is no channel. */
const RESERVED = ['chief', 'people'];
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** @throws CodedError CONFIG_INVALID, which shows no secret */
export function escalationOf(source: ConfigSource, { escalation }: ConfigFile, env: Environment): EscalationSettings {
  if (escalation === undefined) return DEFAULT_ESCALATION;
  const { chief_ack, reminders, auto_approve = [] } = escalation;
  const channels = channelsOf(source, escalation, env);
  return {
    chiefAckMs: chief_ack === undefined ? DEFAULT_ESCALATION.chiefAckMs : parseDurationMs(chief_ack),
    remindersMs: remindersOf(source, reminders),
    channels,
    routes: routesOf(source, escalation, channels),
    quietHours: quietHoursOf(source, escalation),
    autoApprove: auto_approve.map(({ command, agent_id = '*', risk = 'low' }) => ({
      command,
      agentId: agent_id,
      risk,
    })),
  };
}

function remindersOf(source: ConfigSource, given: Given['reminders']): number | null {
  if (given === undefined) return DEFAULT_ESCALATION.remindersMs;
  if (given === 'never') return null;
  const ms = parseDurationMs(given);
  if (ms > 0) return ms;
  throw source.invalid(['escalation', 'reminders'], 'escalation.reminders is 0; expected a duration above 0, or never');
}

function channelsOf(source: ConfigSource, { channels = [] }: Given, env: Environment): ChannelSettings[] {
  const all: ChannelSettings[] = [];
  for (const [n, fields] of channels.entries()) {
    const where = ['escalation', 'channels', String(n)];
    const name = fields.name ?? fields.type;
    const fail = (field: string, says: string): never => {
      throw source.invalid([...where, field], `${[...where, field].join('.')} ${says}`);
    };
    if (RESERVED.includes(name)) fail('name', `is ${name}, which is no name for a channel; choose another one`);
    if (all.some((other) => other.name === name))
      fail('name', `is ${name}, like that of another channel; give each its own name`);
    all.push({ name, ...channelOf(fields, { source, where, env, fail }) });
  }
  return all;
}

interface Place {
  source: ConfigSource;
  where: string[];
  env: Environment;
  fail: (field: string, says: string) => never;
}

const FIELDS = {
  slack: ['url'],
  webhook: ['url', 'secret'],
  command: ['command'],
  imessage: ['to'],
} as const satisfies Record<ChannelFields['type'], readonly (keyof ChannelFields)[]>;

type WithoutName<Settings> = Settings extends unknown ? Omit<Settings, 'name'> : never;

function channelOf(fields: ChannelFields, place: Place): WithoutName<ChannelSettings> {
  const { type, command, to } = fields;
  const known: readonly string[] = ['name', 'type', ...FIELDS[type]];
  const stray = Object.keys(fields).find((field) => !known.includes(field));
  if (stray !== undefined) place.fail(stray, `does not go with type ${type}; it has ${FIELDS[type].join(' and ')}`);
  switch (type) {
    case 'slack':
      return { type, url: urlOf(fields, place) };
    case 'webhook':
      return {
        type,
        url: urlOf(fields, place),
        secret: secretOf(place.source, [...place.where, 'secret'], fields.secret, place.env),
      };
    case 'command':
      return {
        type,
        command: command ?? place.fail('command', 'is missing; expected a list: the program and its arguments'),
        cwd: path.dirname(place.source.file),
      };
    case 'imessage':
      return { type, to: to ?? place.fail('to', 'is missing; expected a phone number or an address') };
  }
}

function urlOf({ type, url }: ChannelFields, { source, where, env, fail }: Place): string {
  if (url === undefined) return fail('url', 'is missing; expected a URL, or { from_env: NAME }');
  if (typeof url === 'string' && type === 'slack') {
    return fail('url', 'stands in the file; the URL of a Slack webhook is a secret: expected { from_env: NAME }');
  }
  const value = typeof url === 'string' ? url : (secretOf(source, [...where, 'url'], url, env) ?? '');
  const parsed = URL.canParse(value) ? new URL(value) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) return fail('url', 'is no http or https URL');
  if (parsed.username !== '' || parsed.password !== '') return fail('url', 'contains a user or password; remove them');
  if (type === 'slack' && parsed.protocol === 'http:' && !LOOPBACK.test(parsed.hostname))
    return fail('url', 'is http, over which the secret would be readable by others; expected https');
  return value;
}

function routesOf(
  source: ConfigSource,
  { routes = {} }: Given,
  channels: readonly ChannelSettings[],
): EscalationSettings['routes'] {
  const names = channels.map(({ name }) => name);
  const routeOf = (severity: Severity): string[] => {
    const route = routes[severity];
    for (const [n, name] of (route ?? []).entries()) {
      if (names.includes(name)) continue;
      const near = nearest(name, names);
      const hint = near === undefined ? '' : `; did you mean "${near}"?`;
      const known = names.length === 0 ? 'escalation.channels has none' : `known: ${names.join(', ')}`;
      const where = ['escalation', 'routes', severity, String(n)];
      throw source.invalid(
        where,
        `${where.join('.')} is ${JSON.stringify(name)}, which is no channel${hint}; ${known}`,
      );
    }
    return route ?? names;
  };
  return Object.fromEntries(
    SEVERITIES.map((severity) => [severity, routeOf(severity)]),
  ) as EscalationSettings['routes'];
}

function quietHoursOf(source: ConfigSource, { quiet_hours: given }: Given): QuietHours | null {
  if (given === undefined) return null;
  const { start, end, timezone = 'UTC' } = given;
  const [startMinute = 0, endMinute = 0] = [parseClock(start), parseClock(end)];
  if (startMinute === endMinute) {
    const says = `escalation.quiet_hours.end is ${end}, like start: that would be the whole day; give another time, or remove quiet_hours`;
    throw source.invalid(['escalation', 'quiet_hours', 'end'], says);
  }
  try {
    checkTimeZone(timezone);
  } catch (error) {
    const where = ['escalation', 'quiet_hours', 'timezone'];
    throw source.invalid(where, `${where.join('.')} is ${JSON.stringify(timezone)}; ${(error as Error).message}`);
  }
  return { startMinute, endMinute, timezone };
}
