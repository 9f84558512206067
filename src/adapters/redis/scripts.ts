import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deathTextsInLua } from './death-texts.ts';

/** A Lua script: Redis runs it as a whole, or nothing of it where its memory is full. */
export interface RedisScript {
  source: string;
  sha: string;
}

const HELD = ['held'];

/** What each script of the bus consists of besides what all of them have. */
const BUS = {
  open: ['open'],
  tend: ['tend'],
  send: ['send'],
  receive: ['receive'],
  handedOut: ['handed-out'],
  ack: [...HELD, 'ack'],
  nack: [...HELD, 'nack'],
  extend: [...HELD, 'extend'],
  release: ['release'],
  inFlight: ['in-flight'],
  configure: ['configure'],
  queues: ['queues'],
  browse: ['browse'],
  deadLetters: ['dead-letters'],
  deleteQueue: ['delete-queue'],
  publish: ['publish'],
  events: ['events'],
  topics: ['list-topics'],
} as const satisfies Record<string, readonly string[]>;

const STATE = {
  open: ['state-open'],
  tend: ['state-tend'],
  put: ['state-put'],
  delete: ['state-delete'],
  list: ['state-list'],
  clear: ['state-clear'],
} as const satisfies Record<string, readonly string[]>;

export type BusScripts = Record<keyof typeof BUS, RedisScript>;
export type StateScripts = Record<keyof typeof STATE, RedisScript>;

export function busScripts(): BusScripts {
  const common = [...['prelude', 'topics', 'messages'].map(read), deathTextsInLua(), ...['deaths', 'sweep'].map(read)];
  return scripts(BUS, common);
}

export const stateScripts = (): StateScripts => scripts(STATE, [read('state-prelude')]);

function scripts<Name extends string>(
  parts: Record<Name, readonly string[]>,
  common: readonly string[],
): Record<Name, RedisScript> {
  const made = Object.entries<readonly string[]>(parts).map(([name, own]) => {
    const source = [...common, ...own.map(read)].join('\n');
    return [name, { source, sha: createHash('sha1').update(source).digest('hex') }];
  });
  return Object.fromEntries(made) as Record<Name, RedisScript>;
}

function read(name: string): string {
  return readFileSync(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
}
