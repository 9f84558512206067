import { describe, expect, it } from 'vitest';
import { differingFields, differingSettings } from '../../src/config/config-difference.ts';
import { DEFAULT_PORTS, type LoadedConfig } from '../../src/config/config.ts';
import { DEFAULT_ESCALATION } from '../../src/contract/escalation.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../../src/domain/messages/queue-settings.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';

describe('differingFields', () => {
  it('names fields and members, never values, whatever the order they were written in', () => {
    const known = {
      agent_id: 'a',
      command: ['x', '1'],
      env: { A: 'old', B: 'b' },
      stop: { grace: '1s', signal: 'SIGINT' },
    };
    const given = {
      stop: { signal: 'SIGINT', grace: '2s' },
      env: { B: 'b', A: 'secret', C: 'c' },
      agent_id: 'a',
      command: ['x', '2'],
      task: 't',
    };
    expect(differingFields(known, given)).toEqual(['command', 'env.A', 'env.C', 'stop.grace', 'task']);
    expect(differingFields(given, known)).toEqual(['command', 'env.A', 'env.C', 'stop.grace', 'task']);
  });

  it('does not count what the daemon has added', () => {
    const known = { agent_id: 'a', signature: 's', request_id: 'r', created_by: 'm', command: ['x'] };
    expect(differingFields(known, { agent_id: 'a', command: ['x'] })).toEqual([]);
  });
});

describe('differingSettings', () => {
  const config: LoadedConfig = {
    file: '/c/openstarry.yaml',
    dir: '/c',
    designLayer: { kind: 'folder', path: '/c/templates' },
    master: null,
    chief: null,
    faultDomains: { ...BUILT_IN_FAULT_DOMAINS },
    defaults: { stop: DEFAULT_STOP },
    agents: [],
    schedules: [],
    logs: { minFreeBytes: null },
    messaging: {
      defaults: DEFAULT_QUEUE_SETTINGS,
      ageingMs: 30_000,
      deadLettersKeptMs: 1000,
      limitBytes: { messages: 1, state: 1 },
      topics: { keepCount: 1, keepMs: 1000 },
      queues: {},
      types: {},
    },
    plugins: { bus: { use: 'sqlite', settings: {} }, state: { use: 'sqlite', settings: {} } },
    escalation: DEFAULT_ESCALATION,
    ports: DEFAULT_PORTS,
    temporal: { address: null, namespace: 'default', tls: null, apiKey: null, requireSigned: false },
  };

  it('is empty for the same', () => {
    expect(differingSettings(config, structuredClone(config))).toEqual([]);
  });

  it('tells what counts at once from what needs another start', () => {
    const given: LoadedConfig = {
      ...config,
      designLayer: { kind: 'service', url: 'http://127.0.0.1', token: null },
      faultDomains: { ...BUILT_IN_FAULT_DOMAINS, mine: BUILT_IN_FAULT_DOMAINS.data },
      logs: { minFreeBytes: 0 },
      escalation: { ...DEFAULT_ESCALATION, remindersMs: null },
      messaging: {
        ...config.messaging,
        ageingMs: 1000,
        queues: { analysis: { members: ['w1'], settings: DEFAULT_QUEUE_SETTINGS } },
        types: { PRICE: { file: '/c/price.json', schema: true } },
      },
      ports: { ...DEFAULT_PORTS, api: 6000 },
      temporal: { ...config.temporal, namespace: 'n', requireSigned: true },
    };
    expect(differingSettings(config, given)).toEqual([
      { setting: 'design_layer', takes_effect: 'now' },
      { setting: 'fault_domains.mine', takes_effect: 'now' },
      { setting: 'queues.analysis', takes_effect: 'now' },
      { setting: 'messages.types', takes_effect: 'now' },
      { setting: 'escalation', takes_effect: 'now' },
      { setting: 'logs.min_free', takes_effect: 'now' },
      { setting: 'temporal.require_signed', takes_effect: 'now' },
      { setting: 'ports.api', takes_effect: 'at the next start' },
      { setting: 'messages', takes_effect: 'at the next start' },
      { setting: 'temporal.namespace', takes_effect: 'at the next start' },
    ]);
  });
});
