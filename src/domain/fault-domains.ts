/**
 * A fault domain is a restart policy with a name.
 *
 * | domain   | restarts     | gives up                                              | then                         |
 * |----------|--------------|-------------------------------------------------------|------------------------------|
 * | default  | on failure   | at the 4th failure within a sliding 5 min             | disabled, incident           |
 * | data     | always       | never                                                 | incident at 3 consecutive    |
 * | strategy | on failure   | at the 6th failure without a stable run between       | disabled, incident           |
 * | critical | never        | at the 1st failure, or when it leaves                 | fail-stop of the whole daemon |
 * | master   | always       | never                                                 | incident at 3, to people     |
 */
import { DEFAULT_BACKOFF } from './backoff.ts';
import type { RestartPolicy } from './restart-policy.ts';

const base = {
  onGiveUp: 'disable',
  incidentAt: 3,
  backoff: DEFAULT_BACKOFF,
  resetAfterMs: 60_000,
  successExitCodes: [0],
} as const satisfies Partial<RestartPolicy>;

const policy = (own: Pick<RestartPolicy, 'restart' | 'intensity'> & Partial<RestartPolicy>): RestartPolicy => ({
  ...base,
  successExitCodes: [...base.successExitCodes],
  ...own,
});

export const BUILT_IN_FAULT_DOMAINS = {
  default: policy({ restart: 'on-failure', intensity: { kind: 'window', failures: 4, withinMs: 300_000 } }),
  data: policy({ restart: 'always', intensity: { kind: 'unlimited' } }),
  strategy: policy({ restart: 'on-failure', intensity: { kind: 'consecutive', failures: 6 } }),
  critical: policy({
    restart: 'never',
    intensity: { kind: 'consecutive', failures: 1 },
    onGiveUp: 'fail-stop',
    incidentAt: 1,
  }),
  master: policy({ restart: 'always', intensity: { kind: 'unlimited' } }),
} as const satisfies Record<string, RestartPolicy>;

export type BuiltInFaultDomain = keyof typeof BUILT_IN_FAULT_DOMAINS;
