import type { Connection } from '@temporalio/client';
import { expect, test } from 'vitest';
import { workerIdentityOf } from '../../../src/contract/names.ts';
import { OtherDaemons } from '../../../src/daemon/temporal/other-daemons.ts';

/** The daemon of start `own` on host `a`; `seen` is what the server says: by identity, how many seconds ago it was asked. */
function watcher() {
  let seen: Record<string, number> | undefined = {};
  const warnings: string[] = [];
  const describeTaskQueue = async () => {
    if (seen === undefined) throw new Error('not now');
    const at = (ago: number) => ({ seconds: Math.floor(now / 1000) - ago, nanos: 0 });
    return { pollers: Object.entries(seen).map(([identity, ago]) => ({ identity, lastAccessTime: at(ago) })) };
  };
  const now = Date.now();
  const connection = {
    withDeadline: (_: number, ask: () => unknown) => ask(),
    workflowService: { describeTaskQueue },
  } as unknown as Connection;
  const onFound = (warning: string) => void warnings.push(warning);
  const daemons = new OtherDaemons({ connection, namespace: 'default', hostId: 'a', startId: 'own', onFound });
  const look = async (next: typeof seen): Promise<string[]> => {
    seen = next;
    await daemons.look();
    return daemons.hosts;
  };
  return { look, warnings };
}

const own = workerIdentityOf('a', 'own');
const earlier = workerIdentityOf('a', 'earlier');

test('what the server remembers of an earlier start of this host is no other daemon', async () => {
  const { look, warnings } = watcher();
  expect(await look({ [earlier]: 30 })).toEqual([]);
  expect(await look({ [earlier]: 30, [own]: 20 })).toEqual([]);
  expect(await look({ [own]: 0 })).toEqual([]);
  expect(warnings).toEqual([]);
});

test('a daemon with the id of this host that asks for work after our start has a copy of the state directory', async () => {
  const { look, warnings } = watcher();
  expect(await look(undefined)).toEqual([]);
  expect(await look({ [earlier]: 60 })).toEqual([]);
  expect(await look({ [earlier]: 0, [own]: 10 })).toEqual([]); // the end of a dead daemon's last poll
  expect(await look({ [earlier]: -15, [own]: 10 })).toEqual(['a']);
  expect(await look({ [earlier]: -15, [own]: 5 })).toEqual(['a']);
  expect(warnings).toEqual([expect.stringMatching(/id of this host, a, .*default.*copied.*OPENSTARRY_HOME/)]);
  expect(await look({ [own]: 0 })).toEqual([]);
});

test('so has one that comes later, of any version', async () => {
  for (const later of [workerIdentityOf('a', 'later'), 'openstarry@a']) {
    const { look } = watcher();
    expect(await look({ [own]: 50 })).toEqual([]);
    expect(await look({ [own]: 5, [later]: 10 })).toEqual(['a']);
  }
});

test('a daemon of another host is told of at the first look', async () => {
  const { look, warnings } = watcher();
  expect(await look({ [workerIdentityOf('b', 'other')]: 30, [own]: 0, 'somebody@else': 0 })).toEqual(['b']);
  expect(await look({ [workerIdentityOf('b', 'other')]: 90, [own]: 0 })).toEqual([]);
  expect(warnings).toEqual([expect.stringMatching(/another host, b, .*default/)]);
});
