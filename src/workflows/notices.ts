/** Sends one notice to people: on the first channel that takes it. */
import { ActivityFailure, ApplicationFailure, proxyActivities } from '@temporalio/workflow';
import type { IncidentActivities, NotifyRequest } from '../contract/incident-activities.ts';
import { ORCHESTRATOR_QUEUE } from '../contract/names.ts';
import { summaryOf } from './summary.ts';

/** Two minutes in all; then the next channel is taken. */
const ATTEMPTS = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '60s',
  maximumAttempts: 8,
} as const;

export interface ChannelOutcome {
  channel: string;
  state: 'under_way' | 'sent' | 'failed';
  attempts: number;
  reason: string | null;
}

/**
 * @param tell called for each channel, before and after
 * @returns whether one has taken it
 */
export async function sendNotice(
  channels: readonly string[],
  notice: Omit<NotifyRequest, 'channel'>,
  tell: (outcome: ChannelOutcome) => void,
): Promise<boolean> {
  for (const channel of channels) {
    tell({ channel, state: 'under_way', attempts: 0, reason: null });
    try {
      const { attempts } = await channelActivity(channel, notice.title).notify({ ...notice, channel });
      tell({ channel, state: 'sent', attempts, reason: null });
      return true;
    } catch (error) {
      tell({ channel, state: 'failed', ...failureOf(error) });
    }
  }
  return false;
}

const channelActivity = (channel: string, title: string): Pick<IncidentActivities, 'notify'> =>
  proxyActivities<IncidentActivities>({
    taskQueue: ORCHESTRATOR_QUEUE,
    startToCloseTimeout: '30s',
    retry: ATTEMPTS,
    summary: summaryOf(`${channel}: ${title}`),
  });

function failureOf(error: unknown): { attempts: number; reason: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const [attempts] = cause instanceof ApplicationFailure ? (cause.details ?? []) : [];
  const reason = cause instanceof Error ? cause.message : String(cause);
  return { attempts: typeof attempts === 'number' ? attempts : ATTEMPTS.maximumAttempts, reason };
}
