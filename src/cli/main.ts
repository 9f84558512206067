import { run } from './run.ts';

const LINGER_MS = 1_000;

// `openstarry-daemon agents logs x | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

process.exitCode = await run(process.argv.slice(2));
// A start that failed half-way may leave a connection or a thread behind: that must not keep the command from ending.
setTimeout(() => process.exit(), LINGER_MS).unref();
