import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openSqliteState } from '../../src/adapters/sqlite-state.ts';
import { stateStoreCases } from '../../src/conformance/state-store.ts';
import { conformance } from '../contracts/conformance.ts';

conformance('openSqliteState', stateStoreCases, async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-state-'));
  return {
    open: (options) => openSqliteState(path.join(folder, 'state.db'), options),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});
