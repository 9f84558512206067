import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openSqliteBus } from '../../src/adapters/sqlite-bus.ts';
import { messageBusCases } from '../../src/conformance/message-bus.ts';
import { conformance } from '../contracts/conformance.ts';

conformance('openSqliteBus', messageBusCases, async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-bus-'));
  return {
    open: (options) => openSqliteBus(path.join(folder, 'bus.db'), options),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});
