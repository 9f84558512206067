import { expect, it } from 'vitest';
import type { Definition } from '../../src/contract/definition.ts';
import { hostPreparation } from '../../src/daemon/spawn-preparation.ts';
import { BUILT_IN_FAULT_DOMAINS } from '../../src/domain/fault-domains.ts';

const request = { input: { agent_id: 'a' }, generation: 1, template_version: null, reason: '', request_id: null };
const definition = (env_file: string): Definition => ({
  agent_id: 'a',
  template_id: null,
  template_version: null,
  fault_domain: 'default',
  rules: {
    launchDigest: 'd',
    restart: BUILT_IN_FAULT_DOMAINS.default,
    stop: { signal: 'SIGTERM', graceMs: 1000 },
  },
  launch: { command: ['true'], env: {}, env_file, cwd: '/', stdin: null, task: null, may: { start: [] } },
});
const { prepare } = hostPreparation(
  { key: new Uint8Array(32), apiUrl: () => 'http://127.0.0.1', env: {}, snapshots: { write: async () => undefined } },
  { trusted: () => Promise.reject(new Error('is not asked')) },
  { get: () => undefined },
);
const failureOf = (env_file: string) => Promise.resolve(prepare(request, definition(env_file))).catch((error) => error);

it('an env_file that is not there has to be corrected', async () => {
  expect(await failureOf('/nowhere/env')).toMatchObject({ code: 'SPAWN_FAILED' });
});

// Reading the memory of a process from its very beginning is an input/output error.
it.skipIf(process.platform !== 'linux')('an env_file on a disk that fails is read again later', async () => {
  const failure = await failureOf('/proc/self/mem');
  expect(failure).toMatchObject({ message: expect.stringContaining('env_file cannot be read: EIO') });
  expect(failure).not.toHaveProperty('code');
});
