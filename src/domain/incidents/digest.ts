/** Notices that quiet hours have deferred: one for all of them at their end. */
import { cut } from '../cut.ts';
import type { NoticeText } from './notice.ts';
import { SEVERITIES, type IncidentStatus, type NoticeAbout, type Severity } from './incident-words.ts';

/** The latest that there is to say of one incident. */
export interface DeferredNotice {
  deliveryId: string;
  incidentId: string;
  about: NoticeAbout;
  severity: Severity;
  title: string;
  text: string;
  atMs: number;
}

export interface DigestEntry extends DeferredNotice {
  /** Ids of all notices of it that were deferred, this one last. */
  deliveryIds: string[];
}

export interface DigestState {
  /** By incident, in the order of their first notice. */
  entries: DigestEntry[];
  /** When the quiet ends, epoch milliseconds. */
  untilMs: number;
  /** Names of channels, in the order in which they are tried. */
  channels: string[];
  /** How often it has been sent: part of the ids of its deliveries. */
  sent: number;
}

export const EMPTY_DIGEST: DigestState = { entries: [], untilMs: 0, channels: [], sent: 0 };

/** How many incidents are told in full. */
const SHOWN = 20;

export function deferred(
  state: DigestState,
  notice: DeferredNotice,
  untilMs: number,
  channels: readonly string[],
): DigestState {
  const known = state.entries.find((entry) => entry.incidentId === notice.incidentId);
  if (known?.deliveryIds.includes(notice.deliveryId)) return state;
  const entry: DigestEntry = { ...notice, deliveryIds: [...(known?.deliveryIds ?? []), notice.deliveryId] };
  return {
    ...state,
    entries: known ? state.entries.map((each) => (each === known ? entry : each)) : [...state.entries, entry],
    untilMs: Math.max(state.untilMs, untilMs),
    channels: [...new Set([...state.channels, ...channels])],
  };
}

/** @param now how the incidents stand, by id; one that nobody knows any more is missing */
export function digestNotice(
  entries: readonly DigestEntry[],
  now: Readonly<Record<string, IncidentStatus>>,
): NoticeText & { severity: Severity } {
  const severity = SEVERITIES.findLast((each) => entries.some((entry) => entry.severity === each)) ?? 'info';
  const open = entries.filter(({ incidentId }) => (now[incidentId] ?? 'open') === 'open').length;
  const many = entries.length === 1 ? '1 incident' : `${entries.length} incidents`;
  const title = `[${severity}] ${many} during quiet hours, ${open} still open`;
  // What is open is read first.
  const rank = ({ incidentId }: DigestEntry): number => ORDER.indexOf(now[incidentId] ?? 'open');
  const sorted = entries.toSorted((a, b) => rank(a) - rank(b) || a.atMs - b.atMs);
  const shown = sorted.slice(0, SHOWN).map((entry) => {
    const status = now[entry.incidentId] ?? 'unknown';
    const at = new Date(entry.atMs).toISOString();
    return `• ${at} ${entry.title} (now ${status})\n  ${cut(entry.text.split('\n')[0] ?? '', 300)}\n  ${entry.incidentId}`;
  });
  const rest = entries.length - shown.length;
  const more = rest > 0 ? [`and ${rest} more: openstarry-daemon incidents ls`] : [];
  return { severity, title, text: [...shown, ...more].join('\n') };
}

const ORDER: readonly IncidentStatus[] = ['open', 'acknowledged', 'resolved'];
