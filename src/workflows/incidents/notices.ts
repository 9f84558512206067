/** Sends one notice to people: on the first channel that takes it. */
import { ActivityFailure, ApplicationFailure, patched, proxyActivities, sleep } from '@temporalio/workflow';
import type { IncidentActivities, NotifyRequest } from '../../contract/incident-activities.ts';
import { ORCHESTRATOR_QUEUE, summaryOf } from '../../contract/names.ts';

/** Two minutes in all; then the next channel is taken. */
const ATTEMPTS = {
  initialInterval: '1s',
  backoffCoefficient: 2,
  maximumInterval: '60s',
  maximumAttempts: 8,
} as const;
const PATIENT = { startToCloseTimeout: '30s', retry: ATTEMPTS } as const;

/** A channel gives up after 10 s by itself (a program after 15 s), and says why better than a time-out does. */
const ONE_ATTEMPT = { startToCloseTimeout: '12s', retry: { maximumAttempts: 1 } } as const;

export interface ChannelOutcome {
  channel: string;
  state: 'under_way' | 'sent' | 'failed';
  attempts: number;
  reason: string | null;
}

/**
 * What is critical goes round all channels first, one attempt each, so that a channel that does not answer keeps nobody
 * waiting. Otherwise each channel is tried until it has failed for good, and then the next one.
 *
 * @param tell called for each channel, before and after
 * @returns whether one has taken it
 */
export async function sendNotice(
  channels: readonly string[],
  notice: Omit<NotifyRequest, 'channel'>,
  tell: (outcome: ChannelOutcome) => void,
): Promise<boolean> {
  let left = channels;
  const isUrgent = notice.severity === 'critical' && channels.length > 1;
  // A notice that was under way when this was new is sent as it was begun.
  if (isUrgent && patched('critical-round')) {
    const usable = await sendRound(channels, notice, tell);
    if (usable === 'sent') return true;
    left = usable;
    if (left.length > 0) await sleep(ATTEMPTS.initialInterval);
  }
  for (const channel of left) {
    tell({ channel, state: 'under_way', attempts: 0, reason: null });
    try {
      const { attempts } = await channelActivity(channel, notice.title, PATIENT).notify({ ...notice, channel });
      tell({ channel, state: 'sent', attempts, reason: null });
      return true;
    } catch (error) {
      tell({ channel, state: 'failed', ...failureOf(error, ATTEMPTS.maximumAttempts) });
    }
  }
  return false;
}

/** @returns the channels that may still take it at another attempt */
async function sendRound(
  channels: readonly string[],
  notice: Omit<NotifyRequest, 'channel'>,
  tell: (outcome: ChannelOutcome) => void,
): Promise<'sent' | string[]> {
  const left: string[] = [];
  for (const channel of channels) {
    tell({ channel, state: 'under_way', attempts: 0, reason: null });
    try {
      await channelActivity(channel, notice.title, ONE_ATTEMPT).notify({ ...notice, channel });
      tell({ channel, state: 'sent', attempts: 1, reason: null });
      return 'sent';
    } catch (error) {
      tell({ channel, state: 'failed', ...failureOf(error, 1) });
      if (!isForGood(error)) left.push(channel);
    }
  }
  return left;
}

const channelActivity = (
  channel: string,
  title: string,
  patience: typeof PATIENT | typeof ONE_ATTEMPT,
): Pick<IncidentActivities, 'notify'> =>
  proxyActivities<IncidentActivities>({
    taskQueue: ORCHESTRATOR_QUEUE,
    ...patience,
    summary: summaryOf(`${channel}: ${title}`),
  });

const causeOf = (error: unknown): unknown => (error instanceof ActivityFailure ? error.cause : error);

const isForGood = (error: unknown): boolean => {
  const cause = causeOf(error);
  return cause instanceof ApplicationFailure && cause.nonRetryable === true;
};

/** @param most how many attempts there were if the failure does not say so */
function failureOf(error: unknown, most: number): { attempts: number; reason: string } {
  const cause = causeOf(error);
  const [attempts] = cause instanceof ApplicationFailure ? (cause.details ?? []) : [];
  const reason = cause instanceof Error ? cause.message : String(cause);
  return { attempts: typeof attempts === 'number' ? attempts : most, reason };
}
