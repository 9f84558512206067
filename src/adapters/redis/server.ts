import { type RedisClient, answered } from './link.ts';

/** The oldest Redis that has all that the scripts use. */
const OLDEST = [6, 2] as const;

export interface Durability {
  survivesPowerLoss: boolean;
  says: string;
}

/** @throws Error if it is too old, a replica, or cannot do what is asked of it */
export async function checkServer(client: RedisClient): Promise<void> {
  const info = await infoOf(client);
  const version = info['redis_version'] ?? 'unknown';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    throw new Error(`it is Redis ${version}; ${OLDEST.join('.')} or newer is needed`);
  if (info['role'] === 'slave')
    throw new Error('it is a replica, which takes no writes; give the address of the primary');
}

/** What is known of how it keeps things, and what is lost when it dies. */
export async function durabilityOf(client: RedisClient): Promise<Durability> {
  const info = await infoOf(client);
  const config = await configOf(client);
  const isAppendOnly = config === undefined ? info['aof_enabled'] === '1' : config['appendonly'] === 'yes';
  if (!isAppendOnly) return weak('appendonly is no', 'everything since its last snapshot is lost when Redis ends');
  const fsync = config?.['appendfsync'];
  switch (fsync) {
    case 'always':
      return {
        survivesPowerLoss: true,
        says: 'Redis with appendonly and appendfsync always: nothing acknowledged is lost',
      };
    case 'everysec':
      return weak(
        'appendfsync is everysec',
        'up to 2 s of what was acknowledged may be lost when Redis or its machine dies',
      );
    case undefined:
      return weak(
        'its appendfsync is unknown (CONFIG GET is not allowed)',
        'with another one than always something may be lost',
      );
    default:
      return weak(
        `appendfsync is ${fsync}`,
        'up to half a minute of what was acknowledged is lost when its machine dies',
      );
  }
}

/** What people should know of how it is set; undefined if it may evict nothing of ours. */
export async function evictionOf(client: RedisClient): Promise<string | undefined> {
  const policy = (await configOf(client))?.['maxmemory-policy'];
  return policy?.startsWith('allkeys')
    ? `maxmemory-policy is ${policy}: a full memory makes it forget messages and state without a word; set it to noeviction`
    : undefined;
}

const weak = (setting: string, consequence: string): Durability => ({
  survivesPowerLoss: false,
  says: `Redis: ${setting}; ${consequence}. Set appendonly to yes and appendfsync to always`,
});

async function infoOf(client: RedisClient): Promise<Record<string, string>> {
  const text = String(await answered(client, ['INFO']));
  return Object.fromEntries([...text.matchAll(/^([a-z_]+):(.*?)\r?$/gm)].map(([, name, value]) => [name, value]));
}

/** Undefined where it may not be asked: a hosted Redis often forbids it. */
async function configOf(client: RedisClient): Promise<Record<string, string> | undefined> {
  const names = ['appendonly', 'appendfsync', 'maxmemory-policy'];
  try {
    const replies = await Promise.all(names.map((name) => answered(client, ['CONFIG', 'GET', name])));
    return Object.fromEntries(replies.flatMap(pairsOf));
  } catch {
    return undefined;
  }
}

/** A mapping in RESP 3, a flat list in RESP 2. */
function pairsOf(reply: unknown): [string, string][] {
  if (reply instanceof Map) return [...(reply as Map<string, string>)];
  if (Array.isArray(reply)) return reply.length === 2 ? [reply as [string, string]] : [];
  return Object.entries(reply as Record<string, string>);
}
