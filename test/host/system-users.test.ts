import { describe, expect, it } from 'vitest';
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
