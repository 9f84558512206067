import { defineConfig } from 'vitest/config';

// Tests start real processes and servers: forks, because a native module or a signal must not reach another file's tests.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    reporters: ['default'],
    // Trees are followed by what works everywhere, unless a test (or whoever runs them) says otherwise.
    env: { OPENSTARRY_CGROUP_ROOT: process.env['OPENSTARRY_CGROUP_ROOT'] ?? 'none' },
    projects: [
      // Pure functions need neither a build nor a server: `npx vitest run --project domain` answers in a second.
      { extends: true, test: { name: 'domain', include: ['test/domain/**/*.test.ts'] } },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          exclude: ['test/domain/**'],
          globalSetup: ['test/support/global-setup.ts'],
        },
      },
    ],
  },
});
