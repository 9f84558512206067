import { describe, expect, it } from 'vitest';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import type { Checks } from '../../src/contract/definition.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';
import { parseAgentRequest } from '../../src/schema/agent-input.ts';
import { defineAgent } from '../../src/schema/define-agent.ts';

/** What becomes of these fields of an agent, and of its template. */
function checks(own: Record<string, unknown>, template: Record<string, unknown> | null = null): Checks | undefined {
  const named = template === null ? { command: ['x'] } : { template_id: 'T' };
  const input: AgentInput = parseAgentRequest({ agent_id: 'a', ...named, ...own });
  const data = template && { id: 'T', command: ['x'], ...template };
  return defineAgent({
    input,
    template: data && { id: 'T', location: '/t/T.yaml', version: 'v1', data },
    faultDomains: BUILT_IN_FAULT_DOMAINS,
    defaults: { stop: DEFAULT_STOP },
    baseDir: '/',
  }).checks;
}
const messageOf = (own: Record<string, unknown>, template: Record<string, unknown> | null = null): string => {
  try {
    return `accepted: ${JSON.stringify(checks(own, template))}`;
  } catch (error) {
    return (error as Error).message;
  }
};

describe('health', () => {
  it('has the defaults of Kubernetes', () => {
    const probe = {
      initialDelayMs: 0,
      periodMs: 10_000,
      timeoutMs: 1000,
      failureThreshold: 3,
      successThreshold: 1,
    };
    expect(checks({ health: { readiness: { http: 'http://127.0.0.1:9000/ready' }, liveness: { tcp: 9000 } } })).toEqual({
      limits: null,
      health: {
        startup: null,
        readiness: { ...probe, check: { kind: 'http', url: 'http://127.0.0.1:9000/ready' } },
        liveness: { kind: 'probe', ...probe, check: { kind: 'tcp', host: '127.0.0.1', port: 9000 } },
      },
    });
  });

  it('knows heartbeats', () => {
    expect(checks({ health: { liveness: { heartbeat: '30s', initial_delay: '5s' } } })?.health?.liveness).toEqual({
      kind: 'heartbeat',
      periodMs: 30_000,
      initialDelayMs: 5000,
    });
  });

  it('of a template is a default for each probe, and takes its variables', () => {
    const template = {
      variables: { port: { type: 'number' } },
      health: {
        readiness: { http: 'http://127.0.0.1:{{port}}/ready', period: '1s' },
        startup: { exec: ['check', '{{agent_id}}'] },
        liveness: { tcp: '[::1]:{{port}}' },
      },
    };
    const own = { variables: { port: 9000 }, health: { liveness: { heartbeat: '1s' } } };
    expect(checks(own, template)?.health).toMatchObject({
      readiness: { check: { url: 'http://127.0.0.1:9000/ready' }, periodMs: 1000 },
      startup: { check: { kind: 'exec', command: ['check', 'a'] } },
      liveness: { kind: 'heartbeat', periodMs: 1000 },
    });
    expect(checks({ variables: { port: 9000 } }, template)?.health?.liveness).toMatchObject({
      check: { host: '::1', port: 9000 },
    });
  });

  it('with nothing in it is none', () => {
    expect(checks({ health: {} })?.health).toBeNull();
  });

  it.each([
    [{ readiness: {} }, 'exactly one of http, tcp, exec'],
    [{ readiness: { tcp: 1, exec: ['x'] } }, 'exactly one of http, tcp, exec'],
    [{ readiness: { heartbeat: '1s' } }, 'health.readiness.heartbeat is not a known field'],
    [{ readiness: { http: 'ftp://x' } }, 'a URL that begins with http:// or https://'],
    [{ readiness: { http: 'http://' } }, 'health.readiness.http is "http://"; expected a URL'],
    [{ readiness: { tcp: 70_000 } }, 'a port, or host:port'],
    [{ readiness: { tcp: 'localhost' } }, 'health.readiness.tcp is "localhost"; expected a port'],
    [{ readiness: { tcp: 1, period: '0s' } }, 'a duration above 0'],
    [{ liveness: { tcp: 1, success_threshold: 2 } }, 'health.liveness.success_threshold is not a known field'],
    [{ liveness: { heartbeat: '1s', period: '1s' } }, 'with heartbeat nothing else but initial_delay'],
    [{ lifeness: { tcp: 1 } }, 'did you mean "liveness"?'],
  ])('refuses %j', (health, says) => {
    expect(messageOf({ health })).toContain(says);
  });
});

describe('limits', () => {
  it('are for ten seconds and restart, unless said otherwise', () => {
    expect(checks({ limits: { memory: '256MiB', cpu: '150%' } })?.limits).toEqual({
      memoryBytes: 268_435_456,
      cpuPercent: 150,
      forMs: 10_000,
      action: 'restart',
    });
  });

  it('are put together with those of the template', () => {
    const template = { limits: { memory: '1GiB', for: '1m', action: 'notify' } };
    expect(checks({ limits: { cpu: '50%', action: 'kill' } }, template)?.limits).toEqual({
      memoryBytes: 1024 ** 3,
      cpuPercent: 50,
      forMs: 60_000,
      action: 'kill',
    });
  });

  it.each([
    [{ memory: 256 }, 'limits.memory is 256 (number); expected a number with B'],
    [{ memory: '256' }, 'expected a number with B'],
    [{ cpu: '0%' }, 'a percentage above 0'],
    [{ cpu: 0.5 }, 'a percentage above 0'],
    [{ action: 'explode', cpu: '1%' }, 'expected one of "notify", "restart", "stop", "kill"'],
    [{ action: 'kill' }, 'limits has neither memory nor cpu'],
  ])('refuses %j', (limits, says) => {
    expect(messageOf({ limits })).toContain(says);
  });
});
