import path from 'node:path';
import { installBinary, type InstallOptions } from './install.ts';
import { runCommand } from '../run-command.ts';

/** Linking the server takes long without a word; downloading a module through a bad connection, too. */
const SILENCE_MS = 5 * 60_000;
const PROGRESS_MS = 10_000;

/** Builds the pinned binary from `tools/temporal` with the Go tool chain of this machine: about 4 minutes on 2 cores. */
export async function buildTemporal(options: InstallOptions & { moduleDir: string }): Promise<string> {
  const go = await runCommand('go', ['version'], { timeoutMs: 10_000, env: options.env });
  if (go.code !== 0)
    throw new Error(go.code === 'ENOENT' ? '`go` is not on PATH' : `\`go version\` failed: ${go.output || go.code}`);
  return installBinary(options, async (target) => {
    options.progress(
      `Building Temporal's server from source with ${go.output.trim()}: about 4 minutes, only this once`,
    );
    const begun = performance.now();
    const seen = { modules: 0, packages: 0 };
    const timer = setInterval(() => {
      const seconds = Math.round((performance.now() - begun) / 1000);
      options.progress(
        `building: ${seconds} s, ${seen.modules} modules downloaded, ${seen.packages} packages compiled`,
      );
    }, PROGRESS_MS);
    const result = await runCommand('go', goBuildArgs(options.version, target), {
      cwd: options.moduleDir,
      // The build of the official release: no C compiler needed. A go.work above this folder has no say in it.
      // What a killed build leaves goes with the folder of the attempt.
      env: { ...options.env, CGO_ENABLED: '0', GOWORK: 'off', GOTMPDIR: path.dirname(target) },
      silenceMs: SILENCE_MS,
      onLine: (line) => void (line.startsWith('go: downloading') ? (seen.modules += 1) : (seen.packages += 1)),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).finally(() => clearInterval(timer));
    if (result.code !== 0)
      throw new Error(`\`go build\` in ${options.moduleDir} failed (${result.code}): ${lastLines(result.output)}`);
  });
}

export function goBuildArgs(version: string, target: string): string[] {
  // The release sets the version this way; without it the binary calls itself 0.0.0-DEV.
  const ldflags = `-s -w -X github.com/temporalio/cli/temporalcli.Version=${version}`;
  return ['build', '-v', '-trimpath', '-ldflags', ldflags, '-o', target, 'github.com/temporalio/cli/cmd/temporal'];
}

/** What `go` says of the failure, without the list of what went well. */
function lastLines(output: string): string {
  const lines = output.trimEnd().split('\n');
  const telling = lines.filter((line) => /\s/.test(line) && !line.startsWith('go: downloading'));
  return (telling.length > 0 ? telling : lines).slice(-5).join('\n');
}
