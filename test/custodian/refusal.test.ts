import { expect, it } from 'vitest';
import { spawnRefusal } from '../../src/custodian/refusal.ts';

it.each(['EAGAIN', 'ENOSPC', 'EIO', 'ESTALE', 'ETIMEDOUT', 'ENOTCONN', 'EHOSTDOWN'])('%s passes', (errno) => {
  expect(spawnRefusal(errno, 'not now').body).toEqual({ code: 'RESOURCE_EXHAUSTED', message: 'not now', errno });
});

it.each(['ENOENT', 'EACCES', 'ENOEXEC', 'ELOOP'])('%s has to be corrected', (errno) => {
  expect(spawnRefusal(errno, 'never').body.code).toBe('SPAWN_FAILED');
});
