#!/usr/bin/env node
// Kept free of imports, so that an old Node gets this sentence and not a syntax error from a dependency.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `openstarry-daemon needs Node 20.19 or newer, and this is ${process.versions.node}: see https://nodejs.org`,
  );
  process.exitCode = 6;
} else {
  await import('../dist/cli/main.js');
}
