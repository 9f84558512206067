import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findUser, userIn } from '../../src/host/system-users.ts';

const PASSWD =
  'root:x:0:0:root:/root:/bin/sh\n# a comment\nagents:x:1001:1002::/srv/agents:/bin/sh\nodd:x:y:z::/:\nplain:x:1003:1003:::\n';

describe('userIn', () => {
  it.each([
    ['agents', { name: 'agents', uid: 1001, gid: 1002, home: '/srv/agents' }],
    ['1001', { name: 'agents', uid: 1001, gid: 1002, home: '/srv/agents' }],
    ['plain', { name: 'plain', uid: 1003, gid: 1003, home: '/' }],
  ])('finds %s', (wanted, user) => {
    expect(userIn(PASSWD, wanted)).toEqual(user);
  });

  it.each(['nobody', '', 'odd', '100', '# a comment'])('finds no %j', (wanted) => {
    expect(userIn(PASSWD, wanted)).toBeUndefined();
  });
});

describe('findUser', () => {
  it('finds root on this machine, and says who is missing', async () => {
    expect(await findUser('root')).toMatchObject({ name: 'root', uid: 0 });
    await expect(findUser('nobody-of-that-name')).rejects.toMatchObject({
      code: 'SPAWN_FAILED',
      message: expect.stringContaining('There is no user "nobody-of-that-name"'),
    });
    await expect(findUser('--help')).rejects.toMatchObject({ code: 'SPAWN_FAILED' });
  });
});

describe('findUser, asking a directory service', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-users-'));
    vi.stubEnv('PATH', folder);
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(folder, { recursive: true, force: true });
  });
  const getent = async (script: string) => {
    await writeFile(path.join(folder, 'getent'), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(folder, 'getent'), 0o755);
  };
  const failureOf = (wanted: string) => findUser(wanted).then(String, (error: Error & { code?: string }) => error);

  it('finds whom it knows', async () => {
    await getent('echo ldap-agent:x:7001:7001::/home/l:/bin/sh');
    expect(await findUser('ldap-agent')).toMatchObject({ uid: 7001 });
  });

  it.each(['exit 2', undefined])('there is no such user: %s', async (script) => {
    if (script !== undefined) await getent(script);
    expect(await failureOf('ldap-agent')).toMatchObject({ code: 'SPAWN_FAILED' });
  });

  it.each(['exit 1', 'kill -KILL $$'])('cannot tell, which is not final: %s', async (script) => {
    await getent(script);
    const failure = await failureOf('ldap-agent');
    expect(failure).toMatchObject({ message: expect.stringContaining('Cannot look for the user "ldap-agent"') });
    expect(failure).not.toHaveProperty('code');
  });
});
