import { describe, expect, it } from 'vitest';
import type { AgentInput } from '../../src/contract/agent-input.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';
import { defineAgent } from '../../src/schema/define-agent.ts';

function define(input: Partial<AgentInput>, template: Record<string, unknown> | null = null) {
  return defineAgent({
    input: { agent_id: 'a', ...(template === null ? {} : { template_id: 'T' }), ...input },
    template: template === null ? null : { id: 'T', location: '/t/T.yaml', version: 'v1', data: template },
    faultDomains: BUILT_IN_FAULT_DOMAINS,
    defaults: { stop: DEFAULT_STOP },
    baseDir: '/base',
  });
}
const run = { run_id: 'r1', attempt: 1 };

describe('the definition of an agent in a run', () => {
  it('has the task of the run, else its own', () => {
    const input = { command: ['echo', '{{task}}'], task: 'own' };
    expect(define({ ...input, run: { ...run, task: 'of the run' } }).launch).toMatchObject({
      command: ['echo', 'of the run'],
      task: 'of the run',
    });
    expect(define({ ...input, run }).launch.task).toBe('own');
    expect(define(input).launch.command).toEqual(['echo', 'own']);
  });

  it('ends with a success, and never the daemon', () => {
    const always = define({ command: ['x'], fault_domain: 'data', run });
    expect(always.rules).toMatchObject({ finite: true, restart: { restart: 'on-failure' } });
    const critical = define({ command: ['x'], fault_domain: 'critical', run });
    expect(critical.rules.restart).toMatchObject({ restart: 'never', onGiveUp: 'disable' });
    expect(define({ command: ['x'], fault_domain: 'data' }).rules).not.toHaveProperty('finite');
  });

  it('starts by itself, unless it says otherwise or is run by its schedule', () => {
    const starts = (input: Partial<AgentInput>, template?: Record<string, unknown>) =>
      define(input, template ?? null).rules.autostart ?? true;
    const command = ['x'];
    expect(starts({ command })).toBe(true);
    expect(starts({ command, autostart: false })).toBe(false);
    expect(starts({ command, autostart: false, run })).toBe(true);
    expect(starts({}, { command, autostart: false })).toBe(false);
    expect(starts({}, { command, schedule: '@daily' })).toBe(true);
    expect(starts({}, { command, schedule: { cron: '@daily', mode: 'run' } })).toBe(false);
    expect(starts({ autostart: true }, { command, schedule: { cron: '@daily', mode: 'run' } })).toBe(true);
  });

  it('brings the schedule of its template, and the task of that', () => {
    const schedule = { cron: '@daily', mode: 'run', task: 'report' };
    const definition = define({}, { command: ['echo', '{{task}}'], schedule });
    expect(definition.schedule).toEqual(schedule);
    expect(definition.launch.command).toEqual(['echo', 'report']);
  });
});
