import { crc32 } from 'node:zlib';
import { AGENT_ID_PATTERN } from '../../domain/ids.ts';
import type { AgentEntry, AgentRecord, JournalRecord } from './custody-state.ts';

/** Ids of agents, and of the daemon's own children (`_temporal`). */
const NAME_PATTERN = /^_?[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function isAgentName(value: unknown): value is string {
  return typeof value === 'string' && (AGENT_ID_PATTERN.test(value) || NAME_PATTERN.test(value));
}

/** `<crc32 of the JSON in hex> <JSON>\n` */
export function encodeLine(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
}

export type DecodedLine =
  | { kind: 'record'; record: JournalRecord }
  /** Damaged. What can still be guessed of it is only ever used to raise a fence; what lives is looked for. */
  | { kind: 'damaged'; hint?: { agent: string; fence: number } };

export function decodeLine(line: string): DecodedLine {
  const json = line.slice(9);
  if (line[8] === ' ' && Number.parseInt(line.slice(0, 8), 16) === crc32(json)) {
    try {
      const value: unknown = JSON.parse(json);
      if (isJournalRecord(value)) return { kind: 'record', record: value };
    } catch {
      // not JSON in spite of its checksum: somebody wrote it by hand
    }
  }
  return damaged(line);
}

const HINT_LIMIT = 2 ** 31;

function damaged(line: string): DecodedLine {
  const agent = /"agent":"([^"]+)"/.exec(line)?.[1];
  const generations = [...line.matchAll(/"(?:generation|fence)":(\d{1,10})[,}]/g)].map((match) => Number(match[1]));
  const fence = Math.max(0, ...generations.filter((generation) => generation < HINT_LIMIT));
  return isAgentName(agent) && fence > 0 ? { kind: 'damaged', hint: { agent, fence } } : { kind: 'damaged' };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isGeneration = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): value is string => typeof value === 'string';

function isLaunch(value: unknown): boolean {
  if (!isObject(value) || !isGeneration(value['generation'])) return false;
  const { log, stop } = value;
  return (
    [value['nonce'], value['boot'], value['ns'], value['at']].every(isText) &&
    isObject(log) &&
    isText(log['path']) &&
    isGeneration(log['max_bytes']) &&
    isGeneration(log['keep']) &&
    isObject(stop) &&
    isText(stop['signal']) &&
    isGeneration(stop['grace_ms'])
  );
}
const isIntent = (value: unknown) =>
  isLaunch(value) && isGeneration((value as Record<string, unknown>)['fence_before']);
const isStop = (value: unknown) =>
  isObject(value) &&
  isGeneration(value['generation']) &&
  isText(value['cause']) &&
  isText(value['signal']) &&
  isGeneration(value['grace_ms']);
const isExit = (value: unknown) =>
  isObject(value) && isGeneration(value['generation']) && isText(value['cause']) && isText(value['at']);
const isKin = (value: unknown) =>
  Array.isArray(value) &&
  value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isSafeInteger));
const isAbsentOr = (check: (value: unknown) => boolean, value: unknown) => value === undefined || check(value);

function isEntry(value: unknown): value is AgentEntry {
  return (
    isObject(value) &&
    isGeneration(value['fence']) &&
    isAbsentOr(isIntent, value['intent']) &&
    // pid and start are not judged here: a record with a mad pid must stay, so that its end can be recorded
    isAbsentOr(isLaunch, value['live']) &&
    isAbsentOr(isStop, value['stop']) &&
    isAbsentOr(isExit, value['last_exit'])
  );
}

function isJournalRecord(value: unknown): value is JournalRecord {
  if (!isObject(value)) return false;
  const record = value;
  if (record['kind'] === 'opened') return true;
  if (!isAgentName(record['agent'])) return false;
  switch (record['kind'] as AgentRecord['kind']) {
    case 'intent':
      return isIntent(record['intent']);
    case 'live':
      return isLaunch(record['live']);
    case 'void':
    case 'never':
    case 'signalled':
      return isGeneration(record['generation']);
    case 'paused':
      return isGeneration(record['generation']) && typeof record['paused'] === 'boolean';
    case 'kin':
      return isGeneration(record['generation']) && isKin(record['kin']);
    case 'stop':
      return isStop(record['stop']);
    case 'exit':
      return isExit(record['exit']);
    case 'fence':
      return isGeneration(record['fence']);
    case 'forget':
      return isText(record['at']);
    case 'order':
      return isText(record['at']) && (record['verb'] === 'stop' || record['verb'] === 'delete');
    case 'order_done':
      return true;
    case 'entry':
      return isEntry(record['entry']);
    default:
      return false;
  }
}

export interface Replay {
  records: JournalRecord[];
  /** Lines in the middle that could not be read. */
  damagedLines: number;
  /** Bytes of an unfinished or broken last line. */
  tornBytes: number;
}

/** Reads a whole journal. A broken end is what a crash leaves and is dropped; a broken middle keeps what is readable. */
export function decodeJournal(text: string): Replay {
  const records: JournalRecord[] = [];
  let damagedLines = 0;
  let tornBytes = 0;
  let from = 0;
  while (from < text.length) {
    const end = text.indexOf('\n', from);
    const line = text.slice(from, end < 0 ? undefined : end);
    const isLast = end < 0 || end === text.length - 1;
    from = end < 0 ? text.length : end + 1;
    if (line === '') continue;
    const decoded = decodeLine(line);
    if (decoded.kind === 'record') records.push(decoded.record);
    else if (isLast) tornBytes = Buffer.byteLength(line);
    else {
      damagedLines += 1;
      const { hint } = decoded;
      if (hint) records.push({ kind: 'fence', agent: hint.agent, fence: hint.fence });
    }
  }
  return { records, damagedLines, tornBytes };
}
