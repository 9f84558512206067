import { CompleteAsyncError } from '@temporalio/activity';
import type { RunProcessRequest } from '../contract/activities.ts';
import type { Verdict } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import type { CustodianErrorBody } from '../custodian/protocol.ts';
import type { Custody } from '../domain/custody.ts';
import { failpoint } from '../host/failpoint.ts';
import type { ActivityDeps } from './index.ts';

/**
 * One incarnation, from its start to its verdict. Adopts it if it lives, else spawns it; then lets go of the worker
 * slot. The doorbell completes the activity when the custodian sees the process end.
 *
 * May be called any number of times for one generation, by any attempt and any run: the custodian's fence makes sure
 * that only one process comes of it.
 */
export async function runProcess(deps: ActivityDeps, request: RunProcessRequest): Promise<Verdict> {
  const agentId = request.input.agent_id;
  const { generation } = request;

  const { custody, isOrdered } = await deps.host.custodyToTell(agentId);
  const known = verdictFrom(custody, generation);
  if (known === 'live') {
    await deps.host.adopt(agentId, generation);
    throw new CompleteAsyncError();
  }
  if (known) return known;
  // It decides anew when it has heard of that, and withdraws this call; else another attempt follows.
  if (isOrdered) throw new Error(`A stop or delete of ${agentId} has just been handed over to its workflow`);

  const definition = await deps.define(request.input);
  if (definition.template_version !== request.template_version) return { kind: 'template_changed' };
  try {
    await deps.host.spawn(request, definition);
  } catch (error) {
    const body = error as Partial<CustodianErrorBody>;
    if (body.code === 'SUPERSEDED' && body.custody) {
      const verdict = verdictFrom(body.custody, generation);
      if (verdict && verdict !== 'live') return verdict;
    }
    if (body.code === 'SPAWN_FAILED') throw new CodedError('SPAWN_FAILED', (error as Error).message, {}, error);
    throw error;
  }
  failpoint('daemon.after-spawn');
  throw new CompleteAsyncError();
}

/** What custody alone says about this generation; undefined if it may be started. */
function verdictFrom(custody: Custody, generation: number): Verdict | 'live' | undefined {
  if (custody.live?.generation === generation) return 'live';
  if (custody.last_exit?.generation === generation) return { kind: 'exited', exit: custody.last_exit };
  if (custody.live || custody.fence >= generation) return { kind: 'superseded', custody };
  return undefined;
}
