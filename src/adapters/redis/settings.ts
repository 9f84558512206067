export interface RedisSettings {
  /** With its password, if it has one. */
  url: string;
  /** For people: without the password. */
  shownUrl: string;
  /** What all keys begin with. */
  base: string;
}

const DEFAULT_URL = 'redis://127.0.0.1:6379';
const KNOWN = ['url', 'prefix'];

/** @throws Error that names the setting, the value seen and what is accepted */
export function redisSettingsOf(settings: Record<string, unknown>): RedisSettings {
  const unknown = Object.keys(settings).find((name) => !KNOWN.includes(name));
  if (unknown !== undefined) throw new Error(`${unknown} is not a setting of redis; known: ${KNOWN.join(', ')}`);
  const { url = DEFAULT_URL, prefix = 'openstarry' } = settings;
  if (typeof url !== 'string' || !/^rediss?:\/\//.test(url) || !URL.canParse(url))
    throw new Error(
      'url is no address of a Redis; expected redis://[user:password@]host[:port][/number] or rediss://…',
    );
  if (typeof prefix !== 'string' || !/^[\w.-]{1,64}$/.test(prefix))
    throw new Error(
      `prefix is ${JSON.stringify(prefix)}; expected 1 to 64 letters, digits, dots, hyphens or underscores`,
    );
  const shown = new URL(url);
  if (shown.password !== '') shown.password = '***';
  return { url, shownUrl: shown.href, base: `{${prefix}}:` };
}
