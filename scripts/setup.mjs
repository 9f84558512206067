// Makes a fresh clone ready: the right Node version, a supported platform, the dependencies of package-lock.json.
// It runs before anything is installed, so it and everything it imports uses Node's own modules only.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
export const MINIMUM_NODE = '20.19';

/** A step that failed for a reason the user can mend. Its message says how; no stack trace is shown. */
export class SetupError extends Error {}

/** @returns what is wrong with this Node or platform, or undefined */
export function unsupported(platform, nodeVersion) {
  if (platform === 'win32') {
    return 'Windows itself is not supported: run it inside WSL (https://learn.microsoft.com/windows/wsl/install), from a clone made there.';
  }
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const [needMajor = 0, needMinor = 0] = MINIMUM_NODE.split('.').map(Number);
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return undefined;
  return `Node ${nodeVersion} is too old: ${MINIMUM_NODE} or newer is needed. Install a current LTS version from https://nodejs.org (or "nvm install --lts"), then run the same command again.`;
}

/**
 * Whether node_modules holds what package-lock.json asks for, by the record that npm itself leaves there last: an
 * interrupted install has none, and a plain `npm install` of a developer counts as well.
 */
export function dependenciesStale(root) {
  const wanted = readJson(path.join(root, 'package-lock.json'))?.packages;
  if (wanted === undefined)
    throw new SetupError(`${path.join(root, 'package-lock.json')} is missing: get a complete clone.`);
  const installed = readJson(path.join(root, 'node_modules', '.package-lock.json'))?.packages;
  if (installed === undefined) return true;
  for (const [where, entry] of Object.entries(wanted)) {
    if (where === '' || entry.link) continue;
    const have = installed[where];
    // Optional packages of other platforms are never installed.
    if (have === undefined ? !entry.optional : have.version !== entry.version || have.integrity !== entry.integrity)
      return true;
  }
  return Object.values(installed).some((entry) => isForeign(entry));
}

/** True for a package of another platform: the folder was installed elsewhere (a clone shared with a container). */
function isForeign(entry) {
  const excludes = (list, value) =>
    list !== undefined && !list.includes(value) && !list.some((item) => item.startsWith('!'));
  return excludes(entry.os, process.platform) || excludes(entry.cpu, process.arch);
}

const INSTALL = ['install', '--no-save', '--include=dev', '--include=optional'];

export async function ensureDependencies(root) {
  if (!dependenciesStale(root)) return;
  const done = progress('Installing dependencies (npm install, about a minute the first time)');
  // Not `npm ci`: it begins anew where this goes on, and it refuses a lock file without the optional packages of every
  // other platform. --no-save leaves that file as it is. What would leave out the compiler is overruled.
  const { code, output } = await run('npm', INSTALL, { cwd: root });
  if (code !== 0) {
    throw new SetupError(
      `"npm install" failed (exit code ${code}):\n${npmErrors(output)}\n${npmAdvice(output)} Then run the same command again: it goes on from here.`,
    );
  }
  done();
}

/** npm says first what is wrong, and then a lot besides. */
function npmErrors(output) {
  const errors = output.split('\n').filter((line) => /^npm (error|ERR!) ./.test(line));
  return errors.length > 0 ? errors.slice(0, 8).join('\n') : tail(output);
}

function npmAdvice(output) {
  if (/ENOENT.*spawn npm|spawn npm ENOENT/.test(output)) return 'npm was not found: install Node.js together with npm.';
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|network/i.test(output)) {
    return 'The package registry was not reached: check the network connection, a proxy, or "npm config get registry".';
  }
  if (/ENOSPC/.test(output)) return 'The disk is full: free some space.';
  if (/EACCES|EPERM/.test(output)) return 'npm may not write here: check who owns this folder and the npm cache.';
  return 'See the lines above for the cause.';
}

/** Runs everything that must hold before a build, in order. */
export async function setUp(root = ROOT) {
  checkMachine();
  await ensureDependencies(root);
}

export function checkMachine() {
  const complaint = unsupported(process.platform, process.versions.node);
  if (complaint !== undefined) throw new SetupError(complaint);
}

/**
 * Tells that a long step has begun, and again every 15 s that it goes on; the function returned tells that it is done.
 * On stderr, so that whatever follows has stdout for itself.
 */
export function progress(what) {
  const begun = performance.now();
  const seconds = () => Math.round((performance.now() - begun) / 1000);
  process.stderr.write(`openstarry: ${what} …\n`);
  const timer = setInterval(() => process.stderr.write(`openstarry: … still at it after ${seconds()} s\n`), 15_000);
  timer.unref();
  return () => {
    clearInterval(timer);
    process.stderr.write(`openstarry: done in ${seconds()} s\n`);
  };
}

/** Runs a command to its end and keeps its output. A command that cannot be started has exit code 127. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ code: 127, output: `${output}${error.message}` }));
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

export const tail = (text, lines = 15) => text.trimEnd().split('\n').slice(-lines).join('\n');

export function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Runs a script's main function; an expected failure is told in its own words. */
export async function main(body) {
  try {
    process.exitCode = await body();
  } catch (error) {
    process.stderr.write(`openstarry: ${error instanceof SetupError ? error.message : error?.stack}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(() => setUp().then(() => 0));
