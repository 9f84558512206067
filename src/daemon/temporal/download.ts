import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { runCommand } from '../run-command.ts';
import { installBinary, type InstallOptions } from './install.ts';

/** The official releases, each with its archives and a checksums.txt. */
export const RELEASES = 'https://github.com/temporalio/cli/releases/download';

/** A machine without a way out is not to wait longer than this for the first answer. */
const ANSWER_MS = 5_000;
/** A download is given up when nothing has arrived for this long. */
const SILENCE_MS = 15_000;
const PROGRESS_MS = 3_000;

const ARCHES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };

/** Downloads the official archive of the pinned release, checks it against the release's checksums, unpacks and installs it. */
export async function downloadTemporal(
  options: InstallOptions & { releases: string; platform: string; arch: string },
): Promise<string> {
  const arch = ARCHES[options.arch];
  if (arch === undefined || !['linux', 'darwin'].includes(options.platform)) {
    throw new Error(`there is no release for ${options.platform} on ${options.arch}`);
  }
  const archive = `temporal_cli_${options.version}_${options.platform}_${arch}.tar.gz`;
  const release = `${options.releases}/v${options.version}`;
  const expected = checksumOf(archive, await get(`${release}/checksums.txt`, options, (response) => response.text()));
  return installBinary(options, async (target) => {
    options.progress(`Downloading Temporal's server ${options.version} from ${release}`);
    const file = `${target}.tar.gz`;
    const actual = await save(await get(`${release}/${archive}`, options, async (response) => response), file, options);
    if (actual !== expected) throw new Error(`${archive} has the checksum ${actual}, and the release says ${expected}`);
    const unpacked = await runCommand('tar', ['-xzf', file, '-C', path.dirname(target), 'temporal'], {
      timeoutMs: 120_000,
    });
    if (unpacked.code !== 0)
      throw new Error(`\`tar\` could not unpack ${archive} (${unpacked.code}): ${unpacked.output}`);
    await rm(file);
  });
}

/** Finds `<sha256>  <name>` in a checksums.txt. */
export function checksumOf(name: string, checksums: string): string {
  for (const line of checksums.split('\n')) {
    const [sum, file] = line.trim().split(/\s+\*?/);
    if (file === name && sum !== undefined && /^[0-9a-f]{64}$/i.test(sum)) return sum.toLowerCase();
  }
  throw new Error(`checksums.txt of the release does not name ${name}`);
}

/** @param read what has to be done within the time limit; a slow line may take minutes for the rest */
async function get<T>(url: string, options: InstallOptions, read: (response: Response) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ANSWER_MS);
  const signal = options.signal === undefined ? late.signal : AbortSignal.any([late.signal, options.signal]);
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return await read(response);
  } catch (error) {
    if (late.signal.aborted) throw new Error(`${url} did not answer within ${ANSWER_MS / 1000} s`, { cause: error });
    const cause = (error as { cause?: { message?: string; code?: string } }).cause;
    if (cause === undefined) throw error;
    // When several addresses were tried, the error has a code only.
    throw new Error(`${url} cannot be reached: ${cause.message || cause.code}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Writes the body to a file. @returns its SHA-256 */
async function save(response: Response, file: string, options: InstallOptions): Promise<string> {
  if (response.body === null) throw new Error(`${response.url} answered with nothing`);
  const total = Number(response.headers.get('content-length') ?? 0);
  const hash = createHash('sha256');
  let bytes = 0;
  const silent = new AbortController();
  const silence = setTimeout(() => silent.abort(), SILENCE_MS);
  const megabytes = (count: number): string => (count / 1e6).toFixed(0);
  const timer = setInterval(
    () => options.progress(`downloading: ${megabytes(bytes)}${total > 0 ? ` of ${megabytes(total)}` : ''} MB`),
    PROGRESS_MS,
  );
  const measure = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      silence.refresh();
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  };
  const signal = options.signal === undefined ? silent.signal : AbortSignal.any([silent.signal, options.signal]);
  try {
    await pipeline(Readable.fromWeb(response.body), measure, createWriteStream(file), { signal });
  } catch (error) {
    if (silent.signal.aborted) throw new Error(`the download stood still for ${SILENCE_MS / 1000} s`, { cause: error });
    throw new Error(`the download broke off after ${megabytes(bytes)} MB: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    clearTimeout(silence);
    clearInterval(timer);
  }
  return hash.digest('hex');
}
