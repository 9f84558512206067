import { describe, expect, test } from 'vitest';
import { identify, isSafePid, type RecordedIdentity } from '../../src/custodian/identity.ts';
import { createProcessTable } from '../../src/custodian/tree/process-table.ts';

const OWN = new Set([process.pid]);

test.each([1, 0, -1, 1.5, Number.NaN, undefined, '2', process.pid])('%s is no pid to be signalled', (pid) => {
  expect(isSafePid(pid, OWN)).toBe(false);
});

test('any other pid is', () => {
  expect(isSafePid(2, OWN)).toBe(true);
});

describe.runIf(process.platform === 'linux')('a record of which all is true', () => {
  const table = createProcessTable();
  const recordOf = (pid: number): RecordedIdentity => ({
    pid,
    start: table.stat(pid)!.start,
    boot: table.bootId,
    ns: table.pidNamespace,
    marker: 'a/1/x',
  });

  test('is believed', () => {
    expect(identify(recordOf(process.ppid), table, OWN)).toMatchObject({ kind: 'ours' });
  });

  test.each([1, process.pid])('is not if it names pid %i', (pid) => {
    expect(identify(recordOf(pid), table, OWN)).toMatchObject({ kind: 'tampered' });
  });

  test('is not with another boot id, namespace or start', () => {
    const record = recordOf(process.ppid);
    expect(identify({ ...record, boot: 'another' }, table, OWN)).toMatchObject({ kind: 'reboot' });
    expect(identify({ ...record, ns: 'pid:[1]' }, table, OWN)).toMatchObject({ kind: 'replaced' });
    expect(identify({ ...record, start: record.start - 1 }, table, OWN)).toMatchObject({ kind: 'replaced' });
  });
});
