import { createHash } from 'node:crypto';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { runCommand } from '../../../src/daemon/run-command.ts';
import { cachedTemporalPath, findTemporal, type FindTemporalOptions } from '../../../src/daemon/temporal/binary.ts';
import { goBuildArgs } from '../../../src/daemon/temporal/build.ts';
import { checksumOf } from '../../../src/daemon/temporal/download.ts';
import { TEMPORAL_CLI_VERSION } from '../../../src/daemon/temporal/version.ts';
import { until } from '../../support/wait.ts';

const ARCHIVE = `temporal_cli_${TEMPORAL_CLI_VERSION}_linux_amd64.tar.gz`;
const PINNED = '#!/bin/sh\necho "temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)"\n';
const OLDER = '#!/bin/sh\necho "temporal version 1.4.0 (Server 1.28.0, UI 2.39.0)"\n';

let folder: string;
let bin: string;
let env: Record<string, string>;
let cached: string;
let lines: string[];
const closers: Array<() => Promise<void>> = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-binary-'));
  bin = path.join(folder, 'bin');
  await mkdir(bin);
  // Only the shell is reachable: neither a Go nor a temporal of this machine.
  env = { HOME: folder, PATH: bin };
  cached = cachedTemporalPath(env);
  lines = [];
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await rm(folder, { recursive: true, force: true });
});

const find = (options: FindTemporalOptions = {}): ReturnType<typeof findTemporal> =>
  findTemporal({
    env,
    platform: 'linux',
    arch: 'x64',
    releases: 'http://127.0.0.1:1',
    progress: (line) => void lines.push(line),
    ...options,
  });

async function program(file: string, text: string): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, 0o755);
  return file;
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** A release as it is published: one archive that contains the program, and its checksum. */
async function release(content: string, options: { checksum?: string } = {}): Promise<string> {
  await program(path.join(folder, 'release', 'temporal'), content);
  await writeFile(path.join(folder, 'release', 'LICENSE'), 'MIT');
  const packed = path.join(folder, ARCHIVE);
  await runCommand('tar', ['-czf', packed, '-C', path.join(folder, 'release'), 'LICENSE', 'temporal']);
  const archive = await readFile(packed);
  const sum = options.checksum ?? createHash('sha256').update(archive).digest('hex');
  return serve((request, response) => {
    if (request.url === `/v${TEMPORAL_CLI_VERSION}/checksums.txt`)
      response.end(`${'0'.repeat(64)}  other.zip\n${sum}  ${ARCHIVE}\n`);
    else if (request.url === `/v${TEMPORAL_CLI_VERSION}/${ARCHIVE}`) response.end(archive);
    else response.writeHead(404).end();
  });
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
const left = (): Promise<string[]> => readdir(path.dirname(cached)).catch(() => []);

describe('findTemporal', () => {
  test('takes what OPENSTARRY_TEMPORAL_CLI names, of whatever version', async () => {
    const named = await program(path.join(folder, 'mine'), OLDER);
    await program(cached, PINNED);
    env['OPENSTARRY_TEMPORAL_CLI'] = named;
    expect(await find()).toEqual({ path: named, version: '1.4.0', source: 'environment' });
  });

  test('uses nothing else if what OPENSTARRY_TEMPORAL_CLI names does not work', async () => {
    await program(cached, PINNED);
    env['OPENSTARRY_TEMPORAL_CLI'] = path.join(folder, 'absent');
    const failure = (await find().catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'TEMPORAL_NOT_FOUND' });
    expect(failure.message).toMatch(/OPENSTARRY_TEMPORAL_CLI=\S+absent: .*ENOENT/);
  });

  test('takes the cached one before one on PATH', async () => {
    await program(cached, PINNED);
    await program(path.join(bin, 'temporal'), PINNED);
    expect(await find()).toEqual({ path: cached, version: TEMPORAL_CLI_VERSION, source: 'cache' });
  });

  test('honours XDG_CACHE_HOME', () => {
    const expected = `/x/openstarry/temporal-cli/${TEMPORAL_CLI_VERSION}/temporal`;
    expect(cachedTemporalPath({ XDG_CACHE_HOME: '/x', HOME: '/home/u' })).toBe(expected);
    expect(cachedTemporalPath({ XDG_CACHE_HOME: 'relative', HOME: '/x/..' })).toBe(
      `/.cache/openstarry/temporal-cli/${TEMPORAL_CLI_VERSION}/temporal`,
    );
  });

  test('takes one on PATH if it is the pinned version', async () => {
    const onPath = await program(path.join(bin, 'temporal'), PINNED);
    expect(await find()).toEqual({ path: onPath, version: TEMPORAL_CLI_VERSION, source: 'path' });
  });

  test('downloads the release, checks it and keeps it', async () => {
    const releases = await release(PINNED);
    expect(await find({ releases })).toEqual({ path: cached, version: TEMPORAL_CLI_VERSION, source: 'download' });
    expect(await readFile(cached, 'utf8')).toBe(PINNED);
    expect(await left()).toEqual(['temporal']);
    expect(lines[0]).toContain('Downloading');
    expect((await find()).source).toBe('cache');
  });

  test.each([
    [
      'a wrong checksum',
      () => release(PINNED, { checksum: 'ab'.repeat(32) }),
      /has the checksum [0-9a-f]{64}, and the release says abab/,
    ],
    ['another version inside', () => release(OLDER), /what came says it is version 1\.4\.0, not 1\.5\.1/],
    ['a program that does not run', () => release('#!/bin/sh\nexit 1\n'), /answered exit code 1/],
    ['a page that is not there', () => serve((_request, response) => response.writeHead(404).end()), /answered 404/],
  ])('refuses a download with %s and leaves nothing', async (_name, start, message) => {
    const failure = (await find({ releases: await start() }).catch((error: unknown) => error)) as Error;
    expect(failure).toMatchObject({ code: 'TEMPORAL_NOT_FOUND' });
    expect(failure.message).toMatch(message);
    expect(await left()).toEqual([]);
  });

  test('gives up within seconds a site that does not answer', async () => {
    const releases = await serve(() => {});
    const begun = performance.now();
    await expect(find({ releases })).rejects.toThrow('did not answer within 5 s');
    expect(performance.now() - begun).toBeLessThan(8_000);
  });

  test('builds with Go, tells how it goes, and keeps the result', async () => {
    const record = path.join(folder, 'go-call');
    await program(
      path.join(bin, 'go'),
      goScript(`pwd > ${record}; echo "$CGO_ENABLED $GOWORK" >> ${record}; printf '%s' '${PINNED}' > "$out"`),
    );
    expect(await find({ moduleDir: folder })).toEqual({ path: cached, version: TEMPORAL_CLI_VERSION, source: 'build' });
    expect(await readFile(record, 'utf8')).toBe(`${folder}\n0 off\n`);
    expect(lines[0]).toMatch(/Building .* go1\.26/);
    expect(await left()).toEqual(['temporal']);
  });

  test('a build that is interrupted leaves nothing', async () => {
    const started = path.join(folder, 'started');
    await program(
      path.join(bin, 'go'),
      goScript(`echo half > "$out"; : > ${started}; while :; do read -r line < ${folder}/never || exit 1; done`),
    );
    await runCommand('mkfifo', [path.join(folder, 'never')]);
    const stopping = new AbortController();
    const found = find({ moduleDir: folder, signal: stopping.signal }).catch((error: unknown) => error);
    await until(() => exists(started), { what: 'the build' });
    stopping.abort();
    expect(await found).toMatchObject({ name: 'AbortError' });
    expect(await left()).toEqual([]);
  });

  test('clears away what a killed attempt left long ago, and nothing younger', async () => {
    const old = path.join(path.dirname(cached), '.making-old');
    const young = path.join(path.dirname(cached), '.making-young');
    for (const workshop of [old, young]) await mkdir(workshop, { recursive: true });
    const yesterday = new Date(Date.now() - 86_400_000);
    await utimes(old, yesterday, yesterday);
    await find({ releases: await release(PINNED) });
    expect(await left()).toEqual(['.making-young', 'temporal']);
  });

  test('names each way tried and why it failed, and what to do', async () => {
    await program(path.join(bin, 'temporal'), OLDER);
    await program(
      path.join(bin, 'go'),
      goScript('echo "go: github.com/temporalio/cli@v1.5.1: no route to host" >&2; exit 1'),
    );
    const failure = (await find({ moduleDir: folder }).catch((error: unknown) => error)) as Error;
    expect(failure.message.replaceAll(folder, '~')).toBe(
      [
        "Temporal's binary (command line tool 1.5.1) was not found. Tried, in this order:",
        '  - OPENSTARRY_TEMPORAL_CLI: not set',
        '  - cache: there is no ~/.cache/openstarry/temporal-cli/1.5.1/temporal',
        '  - `temporal` on PATH: ~/bin/temporal is version 1.4.0, and 1.5.1 is needed',
        '  - download: http://127.0.0.1:1/v1.5.1/checksums.txt cannot be reached: bad port',
        '  - build with Go: `go build` in ~ failed (1): go: github.com/temporalio/cli@v1.5.1: no route to host',
        'Do one of these and start again:',
        '  - set TEMPORAL_ADDRESS=<host>:<port> to use a Temporal server that runs already',
        '  - install the Temporal CLI 1.5.1 and set OPENSTARRY_TEMPORAL_CLI to its path',
        '  - go online, so that it can be downloaded',
        '  - install Go 1.25 or newer, so that it can be built from source',
      ].join('\n'),
    );
  });

  test('says that Go is missing, and that there is no release for a platform', async () => {
    const failure = (await find({ arch: 'riscv64' }).catch((error: unknown) => error)) as Error;
    expect(failure.message).toContain('`temporal` on PATH: there is none');
    expect(failure.message).toContain('download: there is no release for linux on riscv64');
    expect(failure.message).toContain('build with Go: `go` is not on PATH');
  });
});

/** A stand-in for `go`: answers `version`, and for `build` runs the body with the target in $out. */
function goScript(body: string): string {
  return `#!/bin/sh\nif [ "$1" = version ]; then echo "go version go1.26.0 linux/amd64"; exit 0; fi\nwhile [ "$1" != -o ]; do shift; done\nout=$2\n${body}\n`;
}

test('checksumOf finds the line of a name, also in the form for binary files', () => {
  const sum = 'ab'.repeat(32);
  expect(checksumOf('x.tar.gz', `${'0'.repeat(64)}  y\n${sum}  x.tar.gz\n`)).toBe(sum);
  expect(checksumOf('x.tar.gz', `${sum} *x.tar.gz`)).toBe(sum);
  expect(() => checksumOf('x.tar.gz', 'tar.gz  x.tar.gz')).toThrow('does not name x.tar.gz');
});

test('the Go module pins the version that the daemon asks for', async () => {
  const module = await readFile(path.join(inject('root'), 'tools', 'temporal', 'go.mod'), 'utf8');
  expect(module).toMatch(/^tool github\.com\/temporalio\/cli\/cmd\/temporal$/m);
  expect(module).toContain(`github.com/temporalio/cli v${TEMPORAL_CLI_VERSION} `);
  expect(goBuildArgs('1.5.1', '/t').join(' ')).toContain(
    '-trimpath -ldflags -s -w -X github.com/temporalio/cli/temporalcli.Version=1.5.1 -o /t',
  );
});
