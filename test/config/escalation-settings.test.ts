import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load-config.ts';
import { DEFAULT_ESCALATION, type EscalationSettings } from '../../src/contract/escalation.ts';

const ENV = {
  SLACK_WEBHOOK: 'https://hooks.slack.com/services/T0/B0/s3cret',
  PLAIN: 'http://hooks.example.com/s3cret',
  NO_URL: 's3cret',
  USER: 'https://u:s3cret@example.com',
  KEY: 's3cret',
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-escalation-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function load(escalation: string): Promise<EscalationSettings> {
  const file = path.join(folder, 'openstarry.yaml');
  await writeFile(file, `escalation:\n${escalation.replaceAll(/^/gm, '  ')}\n`);
  return (await loadConfig(file, ENV)).escalation;
}

describe('escalation', () => {
  it('is optional, as is everything in it', async () => {
    const file = path.join(folder, 'openstarry.yaml');
    await writeFile(file, 'version: 1\n');
    expect((await loadConfig(file, {})).escalation).toEqual(DEFAULT_ESCALATION);
    expect(await load('{}')).toEqual(DEFAULT_ESCALATION);
  });

  it('is read as a whole, with secrets from the environment', async () => {
    const settings = await load(`
chief_ack: 90s
reminders: never
channels:
  - { name: ops, type: slack, url: { from_env: SLACK_WEBHOOK } }
  - { type: webhook, url: "http://10.0.0.7/hook", secret: { from_env: KEY } }
  - { type: command, command: [notify-send, "{{title}}"] }
  - { name: phone, type: imessage, to: "+82" }
routes: { info: [], critical: [phone, ops] }
quiet_hours: { start: "23:00", end: "8:00", timezone: Asia/Seoul }
auto_approve: [{ command: restart, agent_id: "data_*", risk: medium }, { command: stop }]`);
    expect(settings).toEqual({
      chiefAckMs: 90_000,
      remindersMs: null,
      channels: [
        { name: 'ops', type: 'slack', url: ENV.SLACK_WEBHOOK },
        { name: 'webhook', type: 'webhook', url: 'http://10.0.0.7/hook', secret: 's3cret' },
        { name: 'command', type: 'command', command: ['notify-send', '{{title}}'], cwd: folder },
        { name: 'phone', type: 'imessage', to: '+82' },
      ],
      routes: { info: [], warning: ['ops', 'webhook', 'command', 'phone'], critical: ['phone', 'ops'] },
      quietHours: { startMinute: 1380, endMinute: 480, timezone: 'Asia/Seoul' },
      autoApprove: [
        { command: 'restart', agentId: 'data_*', risk: 'medium' },
        { command: 'stop', agentId: '*', risk: 'low' },
      ],
    });
  });

  it.each([
    ['chief_ack: 5', 'escalation.chief_ack is 5 (number); expected a duration'],
    ['reminders: 0s', 'escalation.reminders is 0; expected a duration above 0, or never'],
    ['reminders: often', 'escalation.reminders is "often" (string); expected'],
    ['channels: [{ type: sms }]', 'escalation.channels.0.type is "sms" (string); expected one of "slack", "webhook"'],
    ['channels: [{ type: slack }]', 'escalation.channels.0.url is missing; expected a URL'],
    [
      'channels: [{ type: slack, url: "https://hooks.slack.com/s3cret" }]',
      'escalation.channels.0.url stands in the file; the URL of a Slack webhook is a secret: expected { from_env: NAME }',
    ],
    [
      'channels: [{ type: slack, url: { from_env: PLAIN } }]',
      'escalation.channels.0.url is http, over which the secret',
    ],
    ['channels: [{ type: slack, url: { from_env: NO_URL } }]', 'escalation.channels.0.url is no http or https URL'],
    [
      'channels: [{ type: slack, url: { from_env: NONE } }]',
      'escalation.channels.0.url.from_env names NONE, which is not',
    ],
    ['channels: [{ type: webhook, url: { from_env: USER } }]', 'escalation.channels.0.url contains a user or password'],
    ['channels: [{ type: webhook, url: "ftp://x/s3cret" }]', 'escalation.channels.0.url is no http or https URL'],
    [
      'channels: [{ type: webhook, url: "http://x", secret: s3cret }]',
      'escalation.channels.0.secret is a text of 6 characters',
    ],
    ['channels: [{ type: slack, to: x }]', 'escalation.channels.0.to does not go with type slack; it has url'],
    ['channels: [{ type: command }]', 'escalation.channels.0.command is missing; expected a list'],
    ['channels: [{ type: imessage }]', 'escalation.channels.0.to is missing; expected a phone number'],
    ['channels: [{ name: chief, type: imessage, to: x }]', 'escalation.channels.0.name is chief, which is no name'],
    [
      'channels: [{ type: imessage, to: x }, { type: imessage, to: y }]',
      'escalation.channels.1.name is imessage, like that of another channel',
    ],
    [
      'channels: [{ name: phone, type: imessage, to: x }]\nroutes: { critical: [phnoe] }',
      'escalation.routes.critical.0 is "phnoe", which is no channel; did you mean "phone"?; known: phone',
    ],
    ['routes: { info: [ops] }', 'escalation.routes.info.0 is "ops", which is no channel; escalation.channels has none'],
    ['quiet_hours: { start: "23:00" }', 'escalation.quiet_hours.end is missing; expected a time of the day'],
    [
      'quiet_hours: { start: "25:00", end: "8:00" }',
      'escalation.quiet_hours.start is "25:00" (string); expected a time',
    ],
    ['quiet_hours: { start: "8:00", end: "08:00" }', 'escalation.quiet_hours.end is 08:00, like start'],
    [
      'quiet_hours: { start: "23:00", end: "8:00", timezone: seoul }',
      'escalation.quiet_hours.timezone is "seoul"; "seoul" is no time zone: did you mean "Asia/Seoul"?',
    ],
    ['auto_approve: [{ command: delete }]', 'escalation.auto_approve.0.command is "delete" (string); expected one of'],
    ['auto_approve: [{ command: restart, agent_id: "a b" }]', 'escalation.auto_approve.0.agent_id is "a b" (string)'],
    [
      'auto_approve: [{ command: restart, risk: none }]',
      'escalation.auto_approve.0.risk is "none" (string); expected one of',
    ],
  ])('refuses %s', async (escalation, says) => {
    const error = await load(escalation).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(says) as string });
    expect((error as Error).message).not.toContain('s3cret');
  });
});
