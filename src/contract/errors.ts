/**
 * Every error that a user can meet: code → HTTP status, exit code of the CLI, whether the same call may succeed later
 * without a change, and the way out. `docs/errors.md` is checked against this table.
 */
interface ErrorKind {
  status: number;
  exit: number;
  retryable: boolean;
  remedy: string;
}

const row = (status: number, exit: number, retryable: boolean, remedy: string): ErrorKind => ({
  status,
  exit,
  retryable,
  remedy,
});

export const ERRORS = {
  // what the caller sent
  INVALID_REQUEST: row(400, 2, false, 'Correct the field named in the message'),
  UNAUTHORIZED: row(
    401,
    4,
    false,
    'Send "Authorization: Bearer <token>" with the admin token, the file of which the message names; on the command line: --token-file',
  ),
  FORBIDDEN: row(403, 4, false, 'Use a token that allows this, or add the template to `may.start` of the agent'),
  HOST_NOT_ALLOWED: row(403, 4, false, 'Call the API by a loopback name, such as 127.0.0.1 or localhost'),
  ORIGIN_NOT_ALLOWED: row(
    403,
    4,
    false,
    'Web pages of other origins may not call the API; use the CLI or a same-origin page',
  ),
  AGENT_NOT_FOUND: row(404, 3, false, 'See `GET /agents` for the agents that exist'),
  TEMPLATE_NOT_FOUND: row(
    404,
    3,
    false,
    'Put <template_id>.yaml or .json into the design layer folder named in the message',
  ),
  QUEUE_NOT_FOUND: row(
    404,
    3,
    false,
    'Declare the queue under `queues` in the configuration, or make it with PUT /queues/<name>',
  ),
  MESSAGE_NOT_FOUND: row(404, 3, false, 'It has been acknowledged, given up or never existed; see `GET /messages`'),
  STATE_NOT_FOUND: row(404, 3, false, 'See `GET /state/<scope>` for the keys that exist'),
  SCHEDULE_NOT_FOUND: row(404, 3, false, 'See `GET /schedules` for the schedules that exist'),
  RUN_NOT_FOUND: row(404, 3, false, 'See `GET /runs` for the runs that are known'),
  INCIDENT_NOT_FOUND: row(404, 3, false, 'See `GET /incidents` for the incidents that are known'),
  ROUTE_NOT_FOUND: row(404, 3, false, 'See `GET /docs` or `GET /openapi.json` for the routes that exist'),
  METHOD_NOT_ALLOWED: row(405, 2, false, 'Use one of the methods in the Allow header'),
  AGENT_EXISTS: row(
    409,
    5,
    false,
    'Choose another agent_id, or delete the existing agent first, as `openstarry-daemon agents rm` does',
  ),
  AGENT_NOT_RUNNING: row(409, 5, false, 'Start the agent first'),
  LEASE_STALE: row(
    409,
    5,
    false,
    'Receive the message again: it was handed out anew, or given up, when the lease had run out',
  ),
  VERSION_CONFLICT: row(409, 5, false, 'Read the entry again and decide anew with the version in details.version'),
  SCHEDULE_EXISTS: row(409, 5, false, 'Choose another schedule_id, or DELETE the existing schedule first'),
  AGENT_BUSY: row(409, 5, false, 'Wait for the run that is under way, or stop the agent'),
  ALREADY_DECIDED: row(409, 5, false, 'Nothing: the decision in details stands'),
  NOT_AN_APPROVAL: row(
    409,
    5,
    false,
    'Acknowledge or resolve it: only an incident with a proposal can be approved or rejected',
  ),
  STALE_INCARNATION: row(
    409,
    5,
    false,
    'The token belongs to a process that is not the live one; the new process has its own token',
  ),
  PAYLOAD_TOO_LARGE: row(413, 2, false, 'Send less than the limit named in the message'),
  UNSUPPORTED_MEDIA_TYPE: row(415, 2, false, 'Send JSON with Content-Type: application/json'),
  SPAWN_FAILED: row(
    422,
    6,
    false,
    'Correct command, cwd or env of the agent or its template; nothing has been created',
  ),
  TEMPLATE_INVALID: row(422, 6, false, 'Correct the template file named in the message'),
  UNSUPPORTED_FIELD: row(422, 2, false, 'Remove the field: this version does not know it'),
  UNSIGNED_FIELD: row(
    422,
    2,
    false,
    'Start the agent through the API or the configuration, which sign it, or keep to the fields that need no signature',
  ),
  BAD_SIGNATURE: row(
    422,
    2,
    false,
    'The signature does not match the fields; start the agent through the API or the configuration',
  ),
  ID_MISMATCH: row(422, 2, false, 'Give the workflow the id agent/<agent_id>'),
  IDEMPOTENCY_KEY_REUSED: row(
    422,
    2,
    false,
    'Send a new Idempotency-Key with a new request, or the very same request with the same key',
  ),
  QUEUE_FULL: row(429, 7, true, 'Wait until messages have been worked off, or raise the limit named in the message'),
  RATE_LIMITED: row(429, 7, true, 'Wait as long as the Retry-After header says'),
  // what went wrong on our side
  INTERNAL: row(
    500,
    1,
    false,
    'This is a defect: please report it with the request_id and the log line that carries it',
  ),
  TEMPORAL_UNAVAILABLE: row(503, 7, true, 'The agents run on; try again when Temporal is back (see /healthz)'),
  CUSTODIAN_UNAVAILABLE: row(503, 7, true, 'The agents run on; the daemon is starting their custodian again'),
  DESIGN_LAYER_UNAVAILABLE: row(
    503,
    7,
    true,
    'Bring the Agent Design Layer back, or correct `design_layer` in the configuration; a template that was fetched once is kept',
  ),
  BUS_UNAVAILABLE: row(
    503,
    7,
    true,
    'Bring the message bus back (see `plugins.bus` in the configuration); nothing acknowledged is lost',
  ),
  STATE_UNAVAILABLE: row(503, 7, true, 'Bring the state store back (see `plugins.state` in the configuration)'),
  NOT_READY: row(503, 7, true, 'The daemon is starting; try again in a moment'),
  SHUTTING_DOWN: row(503, 7, true, 'The daemon is going down; try again after its next start'),
  STORAGE_FULL: row(
    507,
    7,
    true,
    'Free some space on the disk of the state directory, or make room as the message says',
  ),
  // the daemon and its command line
  CONFIG_INVALID: row(400, 2, false, 'Correct the configuration file at the path named in the message'),
  CONFIG_NOT_FOUND: row(404, 2, false, 'Give an existing file with --config, or start without it for the quickstart'),
  CONFIG_OTHER_FILE: row(
    409,
    2,
    false,
    'Start with the recorded file, use another state directory with OPENSTARRY_HOME, or let this file take over with --switch-config',
  ),
  DAEMON_RUNNING: row(
    409,
    5,
    false,
    'Stop the running daemon with `openstarry-daemon stop`, or use another OPENSTARRY_HOME',
  ),
  DAEMON_NOT_RUNNING: row(
    503,
    3,
    false,
    'Start it with `openstarry-daemon start`; one that runs elsewhere is found by its OPENSTARRY_HOME, or by --url',
  ),
  PORT_IN_USE: row(
    409,
    5,
    false,
    'Free the port, or set another one under `ports` in the configuration (0 = any free)',
  ),
  PLUGIN_FAILED: row(
    503,
    6,
    false,
    'Correct the plugin named in the message, or its settings under `plugins` in the configuration',
  ),
  TEMPORAL_NOT_FOUND: row(503, 6, false, 'Do one of the things listed in the message'),
  TEMPORAL_DATABASE: row(409, 6, false, 'Do one of the things listed in the message'),
  SEARCH_ATTRIBUTES: row(503, 6, false, 'Run the command in the message with the rights of an operator'),
  STATE_DIR_UNUSABLE: row(503, 6, false, 'Give the daemon a directory of its own with OPENSTARRY_HOME'),
  FAIL_STOPPED: row(503, 78, false, 'Look into the reason, then start with --clear-failstop'),
  PLATFORM_UNSUPPORTED: row(503, 6, false, 'Run it on Linux or macOS; on Windows use WSL'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

/** The JSON of every refused request. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; remedy: string; details: Record<string, unknown>; request_id?: string };
}

/** An error with a code from the table. Match it by `code`, never by class or message. */
export class CodedError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, details: Record<string, unknown> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CodedError';
    this.code = code;
    this.details = details;
  }

  get remedy(): string {
    return ERRORS[this.code].remedy;
  }
}

export function codeOf(error: unknown): ErrorCode | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return isErrorCode(code) ? code : undefined;
}

/** True if the same call cannot succeed before its caller, or what it names, has changed. Trouble of our own passes. */
export function isFinal(code: ErrorCode): boolean {
  return !ERRORS[code].retryable && ERRORS[code].status < 500;
}
