import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { CodedError } from '../../src/contract/errors.ts';
import { CustodyLink, type CustodianConnection } from '../../src/host/custody-link.ts';
import { until } from '../support/wait.ts';

/** Like a custodian, of which the first dies before it has shut down: as long as one connection of a daemon is open, another one is refused. */
function makeLink(onReconnected: (n: number) => Promise<void>) {
  const held: { die: () => void }[] = [];
  let open = 0;
  let refused = 0;
  let asked = 0;
  const connect = async (): Promise<CustodianConnection> => {
    if (open > 0) {
      refused += 1;
      throw new Error('DAEMON_RUNNING');
    }
    open += 1;
    let die = (): void => undefined;
    const closed = new Promise<void>((resolve) => {
      die = () => {
        open -= 1;
        resolve();
      };
    });
    held.push({ die });
    return {
      request: (async (method: string) => {
        if (method !== 'shutdown' || held.length > 1) return method;
        await closed;
        throw new CodedError('CUSTODIAN_UNAVAILABLE', 'it died over it');
      }) as unknown as CustodianConnection['request'],
      on: () => () => undefined,
      closed,
      close: () => die(),
    };
  };
  const link = new CustodyLink({
    connect,
    onExit: () => undefined,
    onStuck: () => undefined,
    onReconnected: () => onReconnected((asked += 1)),
    onTrouble: () => undefined,
  });
  return { link, held, refused: () => refused, asked: () => asked };
}

afterEach(() => vi.restoreAllMocks());

test('what fails after a reconnection is tried again on the connection that is held', async () => {
  const { link, held, refused, asked } = makeLink(async (n) => {
    if (n < 3) throw new Error('not yet');
  });
  await link.open();
  held[0]!.die();
  await until(() => asked() === 3, { what: 'the third try' });
  expect([held.length, refused()]).toEqual([2, 0]);
  expect(await link.call('list', {})).toBe('list');
  link.close();
});

test('a custodian that dies while it is caught up with is replaced by one other, and that one is caught up with', async () => {
  const { link, held, refused, asked } = makeLink(async (n) => {
    if (n > 1) return;
    held[1]!.die();
    await delay(1); // its end is noticed
    throw new Error('the custodian is gone');
  });
  await link.open();
  held[0]!.die();
  await until(() => asked() === 2, { what: 'the second try' });
  await delay(300); // whoever else would reconnect has tried by then
  expect([held.length, refused(), asked()]).toEqual([3, 0, 2]);
  link.close();
});

test('an order that has lasted longer than it may take to find another custodian is given to that one all the same', async () => {
  const { link, held } = makeLink(async () => undefined);
  await link.open();
  const stopped = link.callUntilAnswered('shutdown', { waves: [] });
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 40_000);
  held[0]!.die();
  expect(await stopped).toBe('shutdown');
  link.close();
});
