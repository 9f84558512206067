import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_PORTS } from '../../src/config/config.ts';
import { findConfig } from '../../src/config/find-config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { DEFAULT_ESCALATION } from '../../src/contract/escalation.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';
import { DEFAULT_QUEUE_SETTINGS } from '../../src/domain/messages/queue-settings.ts';
import { DEFAULT_STOP } from '../../src/domain/stop-policy.ts';

let dir: string;
let file: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(os.tmpdir(), 'openstarry-config-'));
  file = path.join(dir, 'openstarry.yaml');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function load(yaml: string, env: Record<string, string> = {}) {
  await writeFile(file, yaml);
  return loadConfig(file, env);
}

async function errorOf(
  yaml: string,
  env: Record<string, string> = {},
): Promise<{ code: string; message: string; details: unknown }> {
  return load(yaml, env).then(
    () => Promise.reject(new Error('was accepted')),
    (error) => error as { code: string; message: string; details: unknown },
  );
}

const EXAMPLE = `
version: 1
design_layer: { path: ./templates }
master: { agent_id: master, template_id: MasterAgent_v1 }
chief: master
fault_domains:
  collectors: { restart: always, backoff: { max: 30s } }
defaults: { backoff: { initial: 250ms, factor: 3, max: 45s, jitter: 0.2 }, reset_after: 90s, stop: { signal: SIGINT, grace: 4s } }
agents:
  data_market:
    command: [python3, agents/data_market.py, "\${TOKEN}"]
    env: { KEY: "\${KEY:-none}" }
    fault_domain: collectors
  reporter:
    template_id: Reporter_v1
logs: { min_free: 1GiB }
ports: { api: 5051, health: 8000, metrics: 8001, temporal: 7233, ui: 0 }
`;

describe('loadConfig', () => {
  it('reads the example', async () => {
    const config = await load(EXAMPLE);
    const origin = `file ${file}`;
    expect(config).toMatchObject({
      file,
      dir,
      designLayer: { kind: 'folder', path: path.join(dir, 'templates') },
      master: 'master',
      chief: 'master',
      defaults: { stop: { signal: 'SIGINT', graceMs: 4000 } },
      agents: [
        { agent_id: 'master', template_id: 'MasterAgent_v1', fault_domain: 'master', origin },
        {
          agent_id: 'data_market',
          command: ['python3', 'agents/data_market.py', '${TOKEN}'],
          env: { KEY: '${KEY:-none}' },
          fault_domain: 'collectors',
          origin,
        },
        { agent_id: 'reporter', template_id: 'Reporter_v1', origin },
      ],
      logs: { minFreeBytes: 2 ** 30 },
      ports: { api: 5051, health: 8000, metrics: 8001, temporal: 7233, ui: 0 },
      temporal: { address: null, namespace: 'default', tls: null, apiKey: null, requireSigned: false },
    });
    const backoff = { initialMs: 250, factor: 3, maxMs: 45_000, jitter: 0.2 };
    expect(config.faultDomains['data']).toEqual({ ...BUILT_IN_FAULT_DOMAINS.data, backoff, resetAfterMs: 90_000 });
    expect(config.faultDomains['collectors']).toEqual({
      ...BUILT_IN_FAULT_DOMAINS.default,
      restart: 'always',
      backoff: { ...backoff, maxMs: 30_000 },
      resetAfterMs: 90_000,
    });
  });

  it('fills in every default of a file that says almost nothing', async () => {
    expect(await load('version: 1')).toEqual({
      file,
      dir,
      designLayer: { kind: 'folder', path: path.join(dir, 'templates') },
      master: null,
      chief: null,
      faultDomains: BUILT_IN_FAULT_DOMAINS,
      defaults: { stop: DEFAULT_STOP },
      agents: [],
      schedules: [],
      logs: { minFreeBytes: null },
      messaging: {
        defaults: DEFAULT_QUEUE_SETTINGS,
        ageingMs: 30_000,
        deadLettersKeptMs: 7 * 24 * 3600_000,
        limitBytes: { messages: 10 * 1024 ** 3, state: 1024 ** 3 },
        topics: { keepCount: 10_000, keepMs: 24 * 3600_000 },
        queues: {},
        types: {},
      },
      plugins: { bus: { use: 'sqlite', settings: {} }, state: { use: 'sqlite', settings: {} } },
      escalation: DEFAULT_ESCALATION,
      ports: DEFAULT_PORTS,
      temporal: { address: null, namespace: 'default', tls: null, apiKey: null, requireSigned: false },
    });
  });

  it('puts the master first, and takes an agent that the file names for chief', async () => {
    const config = await load(
      '{ agents: { a: { command: [x] }, b: { command: [x] } }, master: { agent_id: m, command: [x], fault_domain: data }, chief: b }',
    );
    expect(config.agents.map(({ agent_id, fault_domain }) => [agent_id, fault_domain])).toEqual([
      ['m', 'data'],
      ['a', undefined],
      ['b', undefined],
    ]);
    expect(config).toMatchObject({ master: 'm', chief: 'b' });
  });

  it('declares fault domains on a base, and overrides those that are built in', async () => {
    const { faultDomains } = await load(`
fault_domains:
  patient: { base: data, give_up: { consecutive: 10 }, then: fail_stop, incident_after: 5, success_exit_codes: [0, 4] }
  strict: { give_up: { failures: 2, within: 1h }, reset_after: 0s }
  forever: { base: strategy, give_up: never }
  data: { incident_after: 9 }`);
    expect(faultDomains['patient']).toEqual({
      ...BUILT_IN_FAULT_DOMAINS.data,
      intensity: { kind: 'consecutive', failures: 10 },
      onGiveUp: 'fail-stop',
      incidentAt: 5,
      successExitCodes: [0, 4],
    });
    expect(faultDomains['strict']).toMatchObject({
      intensity: { kind: 'window', failures: 2, withinMs: 3_600_000 },
      resetAfterMs: 0,
    });
    expect(faultDomains['forever']?.intensity).toEqual({ kind: 'unlimited' });
    expect(faultDomains['data']).toEqual({ ...BUILT_IN_FAULT_DOMAINS.data, incidentAt: 9 });
  });

  it('expands references in settings of the daemon, and leaves those of agents', async () => {
    const yaml = `
design_layer: { path: "\${LAYER}" }
ports: { api: "\${PORT:-5055}" }
temporal: { namespace: "n-\${STAGE:-dev}", address: "\${HOST}:7233", require_signed: "\${SIGNED:-true}" }
master: { agent_id: m, command: ["\${UNSET}"] }`;
    const config = await load(yaml, { LAYER: '/layer', HOST: 'temporal' });
    expect(config).toMatchObject({
      designLayer: { kind: 'folder', path: '/layer' },
      ports: { api: 5055 },
      temporal: { namespace: 'n-dev', address: 'temporal:7233', requireSigned: true },
      agents: [{ command: ['${UNSET}'] }],
    });
    expect((await errorOf(yaml, { HOST: 'x' })).message).toContain(
      '2:23: design_layer.path refers to ${LAYER}, which is not in the environment',
    );
  });

  it('reads a cluster, where the environment comes before the file', async () => {
    const yaml =
      'temporal: { address: "t:1", namespace: n, tls: { ca: ca.pem, cert: /c, key: k, server_name: s }, api_key: { from_env: K } }';
    expect((await load(yaml, { K: 'secret' })).temporal).toEqual({
      address: 't:1',
      namespace: 'n',
      tls: { caFile: path.join(dir, 'ca.pem'), certFile: '/c', keyFile: path.join(dir, 'k'), serverName: 's' },
      apiKey: 'secret',
      requireSigned: false,
    });
    const env = { TEMPORAL_ADDRESS: 'e:2', TEMPORAL_NAMESPACE: 'en', TEMPORAL_API_KEY: 'ek' };
    expect((await load('version: 1', env)).temporal).toMatchObject({
      address: 'e:2',
      namespace: 'en',
      apiKey: 'ek',
      tls: {},
    });
  });

  it.each<[string, string, string]>([
    ['YAML that is none', 'a: [1', ':1:6: no valid YAML: '],
    [
      'the same key twice',
      'agents:\n  a: { command: [x] }\n  a: { command: [y] }',
      ':3:3: no valid YAML: Map keys must be unique',
    ],
    ['an empty file', '', ': The value is null; expected a mapping'],
    ['another version', 'version: 2', ':1:10: version is 2 (number); expected 1'],
    ['a mistyped setting', 'prots: { api: 1 }', ':1:8: prots is not a known field; did you mean "ports"?'],
    ['a mistyped setting inside', 'ports:\n  apii: 1', ':2:9: ports.apii is not a known field; did you mean "api"?'],
    ['a size without a unit', 'logs: { min_free: 100 }', 'logs.min_free is 100 (number); expected a number with B, kB'],
    ['a port out of range', 'ports: { api: 70000 }', 'ports.api is 70000 (number); expected at most 65535'],
    [
      'two ports that are the same',
      'ports: { api: 8000 }',
      'ports.health and ports.api are both 8000; give each its own, or 0',
    ],
    [
      'a plugin as a mere name',
      'plugins: { bus: redis }',
      ':1:17: plugins.bus is "redis" (string); expected a mapping',
    ],
    ['a plugin without a name', 'plugins: { bus: { url: x } }', 'plugins.bus.use is missing; expected sqlite, redis,'],
    [
      'an unknown kind of plugin',
      'plugins: { buss: { use: x } }',
      'plugins.buss is not a known field; did you mean "bus"',
    ],
    [
      'a design layer over HTTP',
      'design_layer: { path: x, url: "https://x" }',
      'design_layer has both path and url; keep one of them',
    ],
    [
      'a group of an agent',
      'agents:\n  a:\n    command: [x]\n    group: nobody',
      ':4:12: agents.a.group is not supported by this version',
    ],
    [
      'a mistyped field of an agent',
      'agents:\n  a:\n    comand: [x]',
      ':3:13: agents.a.comand is not a known field; did you mean "command"?',
    ],
    [
      'a bad value in an agent',
      'agents:\n  a.b:\n    command: [x]\n    stop: { grace: 5 }',
      ':4:20: agents.a.b.stop.grace is 5 (number); expected a duration',
    ],
    [
      'a bad name in an environment',
      'agents: { a: { command: [x], env: { A-B: x } } }',
      'agents.a: "A-B" in env is no valid name',
    ],
    ['an agent without anything to run', 'agents: { a: { cwd: x } }', 'agents.a has neither command nor template_id'],
    ['an agent that is null', 'agents:\n  a:', 'agents.a is null; expected a mapping'],
    [
      'an agent whose key is no id',
      'agents: { "a b": { command: [x] } }',
      '"a b" in agents is no valid name; expected 1 to 64',
    ],
    ['an agent_id beside the key', 'agents: { a: { agent_id: a, command: [x] } }', 'agents.a.agent_id is given twice'],
    [
      'a master that is also an agent',
      'master: { agent_id: a, command: [x] }\nagents: { a: { command: [x] } }',
      'agents.a is the master',
    ],
    ['a master without id', 'master: { template_id: T }', 'master.agent_id is missing'],
    [
      'a field only the daemon sets',
      'agents: { a: { command: [x], origin: me } }',
      'agents.a.origin is set by the daemon',
    ],
    [
      'a fault domain nobody declared',
      'agents: { a: { command: [x], fault_domain: dta } }',
      'agents.a.fault_domain is "dta"; expected one of default, data, strategy, critical, master; did you mean "data"?',
    ],
    ['a chief that is no agent', 'chief: b\nagents: { a: { command: [x] } }', 'chief is "b"; expected one of a'],
    [
      'a first delay above the longest',
      'agents: { a: { command: [x], backoff: { initial: 2m } } }',
      'agents.a.backoff.initial (2 min) is longer than backoff.max',
    ],
    ['the same in the defaults', 'defaults: { backoff: { max: 1ms } }', 'defaults.backoff.initial (500 ms) is longer'],
    [
      'the same in a fault domain',
      'fault_domains: { x: { backoff: { initial: 2m } } }',
      'fault_domains.x.backoff.initial (2 min)',
    ],
    [
      'a way to give up that is none',
      'fault_domains: { x: { give_up: sometimes } }',
      'fault_domains.x.give_up is "sometimes" (string); expected never, { failures',
    ],
    ['a key __proto__', 'agents: { __proto__: { command: [x] } }', 'agents.__proto__ is not allowed as a name'],
    [
      'a bomb of aliases',
      `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d]`,
      'Excessive alias count',
    ],
    ['TLS without a cluster', 'temporal: { tls: true }', 'temporal.tls is for a cluster; give temporal.address too'],
    [
      'an address without port',
      'temporal: { address: temporal }',
      'temporal.address is "temporal" (string); expected host:port',
    ],
    [
      'half a client certificate',
      'temporal: { address: "t:1", tls: { cert: c } }',
      'temporal.tls has only one of cert and key',
    ],
    [
      'an API key that is not there',
      'temporal: { address: "t:1", api_key: { from_env: NOPE } }',
      'temporal.api_key.from_env names NOPE',
    ],
    ['a reference that leads nowhere', 'chief: "${NOPE}"', ':1:8: chief refers to ${NOPE}'],
    [
      'a dependency that is not there',
      'agents: { stor: { command: [a] }, web: { command: [a], depends_on: [store] } }',
      'agents.web.depends_on names "store"; expected one of stor, web; did you mean "stor"?',
    ],
    [
      'dependencies that go round',
      'agents: { a: { command: [x], depends_on: { b: ready } }, b: { command: [x], depends_on: [a] } }',
      'agents.a.depends_on goes round: a → b → a; none of them could ever start',
    ],
    [
      'a condition that does not exist',
      'agents: { a: { command: [x] }, b: { command: [x], depends_on: { a: healthy } } }',
      'agents.b.depends_on is {"a":"healthy"} (a mapping); expected a list of agents, or agents with what they must be: { message_store: ready } (started, ready or completed)',
    ],
  ])('refuses %s with CONFIG_INVALID, naming file and place', async (_, yaml, message) => {
    const error = await errorOf(yaml);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(`${file}:`);
    expect(error.message).toContain(message);
    expect(error.details).toMatchObject({ file });
  });

  it('leaves a template the last word about a delay', async () => {
    await expect(load('agents: { a: { template_id: T, backoff: { initial: 2m } } }')).resolves.toBeDefined();
  });

  it('refuses a file that is not there, and one that is no file', async () => {
    await expect(loadConfig(path.join(dir, 'no.yaml'), {})).rejects.toMatchObject({ code: 'CONFIG_NOT_FOUND' });
    await expect(loadConfig(dir, {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('cannot be read'),
    });
    expect((await errorOf(`# ${'x'.repeat(1024 * 1024)}`)).message).toContain('the limit is 1048576');
  });
});

describe('findConfig', () => {
  const quickstartDir = '/quickstart';

  it('prefers the flag, then the environment, then the working directory, then the quickstart', async () => {
    const other = path.join(dir, 'other');
    await mkdir(other);
    expect(findConfig({ cwd: dir, env: {}, quickstartDir })).toBe('/quickstart/openstarry.yaml');
    await writeFile(file, '');
    await writeFile(path.join(other, 'openstarry.yaml'), '');
    expect(findConfig({ cwd: dir, env: {}, quickstartDir })).toBe(file);
    const env = { OPENSTARRY_CONFIG: 'other' };
    expect(findConfig({ cwd: dir, env, quickstartDir })).toBe(path.join(other, 'openstarry.yaml'));
    expect(findConfig({ flag: 'openstarry.yaml', cwd: dir, env, quickstartDir })).toBe(file);
  });

  it.each(['nope.yaml', ''])('refuses %j, which is named and not there', (flag) => {
    expect(() => findConfig({ flag, cwd: dir, env: {}, quickstartDir })).toThrow(
      expect.objectContaining({ code: 'CONFIG_NOT_FOUND', message: expect.stringContaining('--config') }),
    );
  });
});

describe('design_layer', () => {
  const layer = (yaml: string, env: Record<string, string> = {}) => load(`design_layer: ${yaml}`, env);
  const refused = async (yaml: string, env: Record<string, string> = {}) =>
    (await errorOf(`design_layer: ${yaml}`, env)).message;

  it('is a service with a token of the environment', async () => {
    const config = await layer('{ url: "https://x.example/v1/", token: { from_env: T } }', { T: 'secret' });
    expect(config.designLayer).toEqual({ kind: 'service', url: 'https://x.example/v1', token: 'secret' });
    const local = await layer('{ url: "http://127.0.0.1:${PORT}", token: { from_env: T } }', { T: 's', PORT: '81' });
    expect(local.designLayer).toMatchObject({ url: 'http://127.0.0.1:81' });
    expect((await layer('{ url: "http://x.example" }')).designLayer).toMatchObject({ token: null });
  });

  it.each([
    ['{ url: "ftp://x" }', 'expected an http or https URL'],
    ['{ url: "https://a:b@x.example" }', 'use design_layer.token'],
    ['{ url: "http://x.example", token: { from_env: T } }', 'readable by others'],
    ['{ path: x, token: { from_env: T } }', 'design_layer.token is for a service'],
    ['{ url: "https://x", token: { from_env: NONE } }', 'names NONE, which is not in the environment'],
  ])('%s is refused', async (yaml, says) => {
    expect(await refused(yaml, { T: 'secret' })).toContain(says);
  });
});

describe('plugins', () => {
  it('are sqlite for what the file does not name, with settings of their own that may come from the environment', async () => {
    expect((await load('{}')).plugins).toEqual({
      bus: { use: 'sqlite', settings: {} },
      state: { use: 'sqlite', settings: {} },
    });
    const yaml = `
plugins:
  bus:
    use: redis
    url: { from_env: REDIS_URL }
    prefix: "\${TEAM:-all}"
    tls: { passphrase: { from_env: SECRET }, ports: [1, { from_env: SECRET }] }
  state: { use: "@acme/state", from_env: kept }`;
    const { plugins } = await load(yaml, { REDIS_URL: 'redis://:pw@h:1', SECRET: 's' });
    expect(plugins).toEqual({
      bus: {
        use: 'redis',
        settings: { url: 'redis://:pw@h:1', prefix: 'all', tls: { passphrase: 's', ports: [1, 's'] } },
      },
      state: { use: '@acme/state', settings: { from_env: 'kept' } },
    });
  });

  it.each(['sqlite', 'a-package', '@acme/bus.js', 'pkg/sub/bus', './bus.mjs', '../x/bus.mjs', '/opt/bus.mjs'])(
    'may be named %s',
    async (use) => {
      expect((await load(`plugins: { bus: { use: "${use}" } }`)).plugins.bus.use).toBe(use);
    },
  );

  it.each(['', ' ', 'a b', 'https://x/y', '@acme', '~'])('may not be named "%s"', async (use) => {
    expect((await errorOf(`plugins: { bus: { use: "${use}" } }`)).message).toContain('expected sqlite, redis');
  });

  it('need the variables that they name', async () => {
    const error = await errorOf('plugins: { bus: { use: redis, url: { from_env: NOPE } } }', { NOPE: '' });
    expect(error.message).toContain(
      `${file}:1:48: plugins.bus.url.from_env names NOPE, which is not in the environment or`,
    );
  });
});
