import type { ChannelSettings } from '../../contract/escalation.ts';
import type { Notifier } from '../../ports/notifier.ts';
import { commandNotifier } from './command.ts';
import { imessageNotifier } from './imessage.ts';
import { slackNotifier } from './slack.ts';
import { webhookNotifier } from './webhook.ts';

/** The notifier of a channel. */
export function notifierOf(channel: ChannelSettings): Notifier {
  switch (channel.type) {
    case 'slack':
      return slackNotifier(channel);
    case 'webhook':
      return webhookNotifier(channel);
    case 'command':
      return commandNotifier(channel);
    case 'imessage':
      return imessageNotifier(channel);
  }
}

/** Why a channel cannot work here at all; undefined if it may. */
export function channelProblem(
  channel: ChannelSettings,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  if (channel.type !== 'imessage' || platform === 'darwin') return undefined;
  return `The channel ${channel.name} is iMessage, which needs macOS; this is ${platform}, so its notices go to the next channel`;
}
