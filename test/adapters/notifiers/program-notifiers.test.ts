import { chmod, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandNotifier } from '../../../src/adapters/notifiers/command.ts';
import { imessageNotifier } from '../../../src/adapters/notifiers/imessage.ts';
import { NotifierFailure, type Notice } from '../../../src/ports/notifier.ts';
import { isAlive } from '../../support/process.ts';
import { until } from '../../support/wait.ts';

const NOTICE: Notice = {
  delivery_id: 'disk/abc.1',
  severity: 'critical',
  title: 'w1: $(touch /tmp/x) {{text}}',
  text: 'two\nlines; `and` "quotes"\0',
  data: { incident_id: 'disk' },
};
const NEVER = new AbortController().signal;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-notify-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const send = (command: string[], timeoutMs?: number): Promise<void> =>
  commandNotifier({ name: 'x', command, timeoutMs }).send(NOTICE, NEVER);

const failureOf = async (work: Promise<void>): Promise<NotifierFailure> => {
  const error = await work.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(NotifierFailure);
  return error as NotifierFailure;
};

describe('command', () => {
  it('fills in its arguments in one pass, without a shell, and gives the notice on stdin', async () => {
    const script = path.join(folder, 'take.sh');
    await writeFile(
      script,
      '#!/bin/sh\nprintf "%s\\n--\\n" "$@" > "$(dirname "$0")/args"\ncat > "$(dirname "$0")/stdin"\n',
    );
    await chmod(script, 0o755);
    await send([script, '{{severity}}: {{title}}', '{{text}}', '{{delivery_id}}{{other}}']);
    expect(await readFile(path.join(folder, 'args'), 'utf8')).toBe(
      'critical: w1: $(touch /tmp/x) {{text}}\n--\ntwo\nlines; `and` "quotes"\n--\ndisk/abc.1{{other}}\n--\n',
    );
    expect(JSON.parse(await readFile(path.join(folder, 'stdin'), 'utf8'))).toEqual(NOTICE);
  });

  it('runs where the configuration file is', async () => {
    await writeFile(path.join(folder, 'here.sh'), '#!/bin/sh\npwd -P > where\n', { mode: 0o755 });
    await commandNotifier({ name: 'x', command: ['./here.sh'], cwd: folder }).send(NOTICE, NEVER);
    expect((await readFile(path.join(folder, 'where'), 'utf8')).trim()).toBe(await realpath(folder));
  });

  it('need not read what it gets', async () => {
    await send(['true']);
  });

  it.each([
    [['/no/such/program'], false, 'Cannot run /no/such/program: ENOENT'],
    [['sh', '-c', 'echo no display >&2; exit 1'], true, 'sh exited with 1: no display'],
    [['sh', '-c', 'exit 78'], false, 'sh exited with 78'],
    [['sh', '-c', 'kill -9 $$'], true, 'sh was killed by SIGKILL'],
  ])('that fails says how, and whether another attempt is worth it: %j', async (command, retryable, message) => {
    const failure = await failureOf(send(command));
    expect([failure.message, failure.retryable]).toEqual([message, retryable]);
  });

  it('that hangs is ended with all it has started', async () => {
    const file = path.join(folder, 'pid');
    const failure = await failureOf(send(['sh', '-c', `sleep 36011 & echo $! > ${file}; wait`], 300));
    expect([failure.message, failure.retryable]).toEqual(['sh did not end within 300 ms', true]);
    const pid = Number(await readFile(file, 'utf8'));
    await until(() => !isAlive(pid), { what: 'the end of its child' });
  });
});

describe('imessage', () => {
  it('fails for good where there is no macOS', async () => {
    const failure = await failureOf(imessageNotifier({ name: 'p', to: '+82', platform: 'linux' }).send(NOTICE, NEVER));
    expect([failure.message, failure.retryable]).toEqual(['iMessage needs macOS, and this is linux', false]);
  });

  it('gives receiver and text to the script as arguments', async () => {
    const program = path.join(folder, 'osascript');
    await writeFile(program, '#!/bin/sh\nprintf "%s\\n--\\n" "$3" "$4" > "$(dirname "$0")/args"\n');
    await chmod(program, 0o755);
    await imessageNotifier({ name: 'p', to: '+82 10', platform: 'darwin', program }).send(NOTICE, NEVER);
    expect(await readFile(path.join(folder, 'args'), 'utf8')).toBe(
      '+82 10\n--\nw1: $(touch /tmp/x) {{text}}\ntwo\nlines; `and` "quotes"\n--\n',
    );
  });
});
