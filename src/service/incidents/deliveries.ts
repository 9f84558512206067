import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { CodedError } from '../../contract/errors.ts';
import {
  NOTICE_FAILED,
  type Notified,
  type NotifyRequest,
  type NoticeTestResult,
} from '../../contract/incident-activities.ts';
import type { DeliveryNotes } from '../../ports/delivery-notes.ts';
import { NotifierFailure, type Notifier } from '../../ports/notifier.ts';

export interface DeliveriesDeps {
  /** By name, in the order of the configuration; as they are now. */
  channels: () => ReadonlyMap<string, Notifier>;
  notes: DeliveryNotes;
  /** Aborted when the daemon lets go. */
  ending: AbortSignal;
  warn: (message: string, fields: Record<string, unknown>) => void;
}

/** Notices on their way to people. */
export class Deliveries {
  readonly #deps: DeliveriesDeps;

  constructor(deps: DeliveriesDeps) {
    this.#deps = deps;
  }

  /**
   * One attempt. What was delivered before, by an attempt of which Temporal has not heard, is not sent again.
   * @throws ApplicationFailure NOTICE_FAILED, which Temporal does not try again if that is useless
   */
  async attempt(request: NotifyRequest, attempt: number): Promise<Notified> {
    const { channels, notes, ending, warn } = this.#deps;
    const { channel, ...notice } = request;
    const note = `${request.delivery_id}#${channel}`;
    if (await notes.isDelivered(note)) return { attempts: attempt };
    const notifier = channels().get(channel);
    if (notifier === undefined) {
      throw failed(new NotifierFailure(`There is no channel ${channel} any more`, { retryable: false }), attempt);
    }
    try {
      await notifier.send(notice, ending);
    } catch (error) {
      warn('a notice was not taken', {
        channel,
        delivery_id: request.delivery_id,
        attempt,
        reason: messageOf(error),
      });
      throw failed(error, attempt);
    }
    await notes.noteDelivered(note, Date.now()).catch((error: unknown) => {
      // The notice is with its receiver. A repeated delivery has the same id.
      warn('cannot note a delivery', { delivery_id: request.delivery_id, error: String(error) });
    });
    return { attempts: attempt };
  }

  /** Sends a notice at once, on one channel or on each. @throws CodedError INVALID_REQUEST if there is no such channel */
  async test(channel: string | undefined): Promise<NoticeTestResult[]> {
    const channels = this.#deps.channels();
    if (channel !== undefined && !channels.has(channel)) {
      const known = [...channels.keys()];
      const says = known.length === 0 ? 'none is configured (escalation.channels)' : `they are ${known.join(', ')}`;
      throw new CodedError('INVALID_REQUEST', `There is no channel ${channel}; ${says}`, { field: 'channel', known });
    }
    const asked = channel === undefined ? [...channels.keys()] : [channel];
    return Promise.all(
      asked.map(async (name) => {
        try {
          await channels.get(name)?.send(TEST_NOTICE(), this.#deps.ending);
          return { channel: name, ok: true, reason: null };
        } catch (error) {
          return { channel: name, ok: false, reason: messageOf(error) };
        }
      }),
    );
  }
}

const TEST_NOTICE = () => ({
  delivery_id: `test/${randomUUID()}`,
  severity: 'info' as const,
  title: '[info] a test of this channel',
  text: 'CPU 95 % (limit 90 %), AutoHeal tried: failed, manual work needed\nThis is only a test: nothing has happened.',
  data: { test: true },
});

/** What does not come from a notifier is a defect of ours, and says nothing for people; but it may pass. */
function failed(error: unknown, attempt: number): ApplicationFailure {
  const { retryable, retryAfterMs } =
    error instanceof NotifierFailure ? error : { retryable: true, retryAfterMs: undefined };
  return ApplicationFailure.create({
    message: messageOf(error),
    type: NOTICE_FAILED,
    nonRetryable: !retryable,
    details: [attempt],
    ...(retryAfterMs === undefined ? {} : { nextRetryDelay: retryAfterMs }),
  });
}

const messageOf = (error: unknown): string =>
  error instanceof NotifierFailure ? error.message : `it failed unexpectedly (${(error as Error).name})`;
