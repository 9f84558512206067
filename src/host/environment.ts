/** What an agent sees of the daemon's own environment. Everything else, tokens above all, stays with the daemon. */
const INHERITED = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'XDG_RUNTIME_DIR'];
const INHERITED_PREFIX = 'LC_';
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Identity {
  agentId: string;
  apiUrl: string;
  token: string;
  task: string | null;
  requestId: string | null;
  /** The run that it is started for: an answer to its task carries it as correlation id. */
  runId?: string | null;
  /** If it runs as another one: these variables are that user's then. */
  user?: { name: string; home: string };
}

/**
 * The environment of an incarnation: the allow-list, the agent's own variables, then ours, which nothing can override.
 * The custodian adds the marker OPENSTARRY_INCARNATION.
 */
export function environmentOf(
  daemon: NodeJS.ProcessEnv,
  own: Record<string, string>,
  identity: Identity,
): Record<string, string> {
  const inherited = Object.entries(daemon).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (INHERITED.includes(entry[0]) || entry[0].startsWith(INHERITED_PREFIX)),
  );
  return {
    PATH: DEFAULT_PATH,
    ...Object.fromEntries(inherited),
    ...(identity.user && { HOME: identity.user.home, USER: identity.user.name, LOGNAME: identity.user.name }),
    ...own,
    OPENSTARRY_AGENT_ID: identity.agentId,
    OPENSTARRY_API_URL: identity.apiUrl,
    OPENSTARRY_TOKEN: identity.token,
    ...(identity.task === null ? {} : { OPENSTARRY_TASK: identity.task }),
    ...(identity.runId == null ? {} : { OPENSTARRY_RUN_ID: identity.runId }),
    ...(identity.requestId === null ? {} : { OPENSTARRY_REQUEST_ID: identity.requestId }),
  };
}
