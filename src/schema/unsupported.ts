/** Fields of an agent that later versions will know: whoever writes one now is told so, instead of being ignored. */
const UNSUPPORTED: ReadonlySet<string> = new Set([
  'liveness',
  'readiness',
  'group',
  'umask',
  'priority',
  'relocate',
  'host',
  'stop_command',
  'stop.command',
  'registry',
  'plugins',
  'escalation',
  'ports',
  'queues',
  'topics',
  'session',
  'sessions',
  'proposal',
  'idempotency_key',
  'ttl',
]);

export const isUnsupported = (field: string): boolean => UNSUPPORTED.has(field);

export const unsupportedMessage = (field: string): string =>
  `${field} is not supported by this version; nothing was ignored: remove the field`;
