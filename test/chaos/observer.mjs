// An independent witness: a process of its own that samples /proc every 20 ms and knows nothing of the daemon but the
// marker in the environment of its agents. It answers on its standard output, one JSON object for each line that it reads.
//
//   node observer.mjs <prefix of the agent ids to watch>
//   {"op":"ignore","nonce":"…"}  a marker that somebody else has made up
//   {"op":"report"}              what has been seen so far
//
// Node's own modules only. An incarnation is told by its nonce, so that a second one shows whatever its generation says.
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { createInterface } from 'node:readline';

const PERIOD_MS = 20;
/** A process is looked at again for so long: right after its fork it still has its parent's environment. */
const YOUNG_MS = 500;
const MARKER = 'OPENSTARRY_INCARNATION=';

const prefix = process.argv[2] ?? '';
const buffer = Buffer.alloc(4096);
/** @type {Map<number, { bornMs: number, start?: number, nonce?: string }>} every pid of the last sample */
let known = new Map();
/** @type {Map<string, { agent: string, generation: number, pid: number, start: number, pids: Set<number>, lives: boolean }>} by nonce */
const incarnations = new Map();
const ignored = new Set();
const doubles = [];
let samples = 0;
let lastMs = performance.now();
let longestGapMs = 0;

/** The beginning of a small file: `readFileSync` costs several times as much, fifty times a second. */
function head(path) {
  let fd;
  try {
    fd = openSync(path, 'r');
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The start time of a living process; undefined if there is none. A zombie is dead. */
function startOf(pid) {
  const text = head(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.length < 20 || fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
}

function markerOf(pid) {
  const entry = head(`/proc/${pid}/environ`)
    .split('\0')
    .find((line) => line.startsWith(MARKER));
  const [agent, generation, nonce] = entry?.slice(MARKER.length).split('/') ?? [];
  return nonce && agent.startsWith(prefix) && !ignored.has(nonce)
    ? { agent, generation: Number(generation), nonce }
    : undefined;
}

function sample() {
  const nowMs = performance.now();
  longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
  lastMs = nowMs;
  samples += 1;
  const seen = new Map();
  for (const name of readdirSync('/proc')) {
    const code = name.charCodeAt(0);
    if (code < 49 || code > 57) continue;
    const pid = Number(name);
    const process = known.get(pid) ?? { bornMs: nowMs };
    if (process.nonce === undefined && nowMs - process.bornMs < YOUNG_MS) meet(pid, process);
    seen.set(pid, process);
  }
  known = seen;
  const living = new Map();
  for (const [nonce, incarnation] of incarnations) {
    if (!incarnation.lives) continue;
    for (const pid of incarnation.pids) if (!livesStill(pid, nonce)) incarnation.pids.delete(pid);
    incarnation.lives = incarnation.pids.size > 0;
    if (incarnation.lives) living.set(incarnation.agent, [...(living.get(incarnation.agent) ?? []), nonce]);
  }
  for (const [agent, nonces] of living) if (nonces.length > 1) confirmDouble(agent, nonces);
}

function meet(pid, process) {
  const marker = markerOf(pid);
  const start = marker && startOf(pid);
  if (start === undefined) return;
  Object.assign(process, { nonce: marker.nonce, start });
  const incarnation = incarnations.get(marker.nonce) ?? { ...marker, pid, start, pids: new Set(), lives: true };
  incarnation.pids.add(pid);
  incarnation.lives = true;
  incarnations.set(marker.nonce, incarnation);
}

const livesStill = (pid, nonce) => known.get(pid)?.nonce === nonce && startOf(pid) === known.get(pid).start;

/** A sample takes a moment, and the first may have ended before the second was born: all must live in a second look. */
function confirmDouble(agent, nonces) {
  const both = () => nonces.filter((nonce) => [...incarnations.get(nonce).pids].some((pid) => livesStill(pid, nonce)));
  if (both().length < 2 || both().length < 2) return;
  const pids = both().map((nonce) => [...incarnations.get(nonce).pids]);
  if (doubles.length < 100) doubles.push({ agent, pids, at: new Date().toISOString() });
}

function report() {
  sample();
  const all = [...incarnations].map(([nonce, one]) => ({ nonce, ...one, pids: [...one.pids] }));
  return { samples, longest_gap_ms: Math.round(longestGapMs), doubles, incarnations: all };
}

const timer = setInterval(sample, PERIOD_MS);
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const { op, nonce } = JSON.parse(line);
  if (op === 'ignore') ignored.add(nonce);
  process.stdout.write(`${JSON.stringify(op === 'report' ? report() : {})}\n`);
});
lines.on('close', () => clearInterval(timer));
