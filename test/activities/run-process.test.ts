import { expect, it } from 'vitest';
import type { ActivityDeps } from '../../src/activities/index.ts';
import { runProcess } from '../../src/activities/run-process.ts';
import type { RunProcessRequest } from '../../src/contract/activities.ts';

const REQUEST = {
  input: { agent_id: 'a', template_id: 'T' },
  generation: 2,
  template_version: '1',
} as RunProcessRequest;

it('runProcess starts nothing in the call that hands over a stop, which its workflow may not have heard yet', async () => {
  const spawned: unknown[] = [];
  let isOrdered = true;
  const deps = {
    define: () => Promise.resolve({ template_version: '1' }),
    host: {
      custodyToTell: () => Promise.resolve({ custody: { fence: 1 }, isOrdered }),
      spawn: (request: RunProcessRequest) => Promise.resolve(spawned.push(request)),
    },
  } as unknown as ActivityDeps;
  // Not final: another attempt follows, unless the workflow has withdrawn the call.
  await expect(runProcess(deps, REQUEST)).rejects.toThrow('has just been handed over');
  expect(spawned).toEqual([]);
  isOrdered = false;
  await expect(runProcess(deps, REQUEST)).rejects.toMatchObject({ name: 'CompleteAsyncError' });
  expect(spawned).toEqual([REQUEST]);
});
