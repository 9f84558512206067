import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { isAlive, killIfSame, startTimeOf } from './process.ts';

test('killIfSame kills that process, and none that has its pid by now', async () => {
  const child = spawn('sleep', ['36099'], { detached: true, stdio: 'ignore' });
  const ended = once(child, 'exit');
  const pid = child.pid!;
  const start = startTimeOf(pid);
  killIfSame({ pid, start: start - 1 }, { group: true });
  killIfSame({ pid, start: Number.NaN });
  expect(isAlive(pid)).toBe(true);
  killIfSame({ pid, start });
  expect(await ended).toEqual([null, 'SIGKILL']);
  killIfSame({ pid, start });
});
