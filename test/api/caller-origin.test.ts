import { expect, test } from 'vitest';
import { checkHost, checkOrigin } from '../../src/api/caller-origin.ts';

test.for(['127.0.0.1', '127.0.0.1:5050', 'localhost:1', 'LocalHost', '[::1]', '[::1]:5050'])(
  'checkHost accepts %s',
  (host) => {
    checkHost(host);
  },
);

test.for([
  undefined,
  '',
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.nip.io:5050',
  '127.0.0.2',
  'localhost@evil',
  'localhost:',
  'localhost:1:2',
  '::1',
  '[::1',
  'evil\nlocalhost',
  '0.0.0.0',
])('checkHost refuses %j', (host) => {
  expect(() => checkHost(host)).toThrow(expect.objectContaining({ code: 'HOST_NOT_ALLOWED' }));
});

test('checkOrigin accepts none and the own', () => {
  checkOrigin(undefined, '127.0.0.1:5050');
  checkOrigin('http://127.0.0.1:5050', '127.0.0.1:5050');
  checkOrigin('http://localhost:5050', 'LOCALHOST:5050');
});

test.for([
  'null',
  '',
  'https://evil.example',
  'http://127.0.0.1:8080',
  'http://localhost:5050',
  'http://127.0.0.1:5050.evil',
  'file://',
])('checkOrigin refuses %j', (origin) => {
  expect(() => checkOrigin(origin, '127.0.0.1:5050')).toThrow(expect.objectContaining({ code: 'ORIGIN_NOT_ALLOWED' }));
});
