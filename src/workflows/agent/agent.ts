/**
 * The workflow `agent`: one agent's life, open from creation to deletion.
 *
 * It only interprets the reducer of `src/domain`: handlers and finished activities put events into a queue, one loop
 * takes them out in order, and the effects that the reducer returns are carried out by `Effects`. Nothing else holds state.
 */
import { ApplicationFailure, CancellationScope, condition, continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { AgentInput } from '../../contract/agent-input.ts';
import { workflowIdOf } from '../../contract/names.ts';
import { AGENT_ID_PATTERN, isAgentId } from '../../domain/ids.ts';
import { birth, resume, step } from '../../domain/agent-reducer.ts';
import { Effects } from './effects.ts';
import { registerHandlers } from './handlers.ts';
import { shapeProblem } from './input-shape.ts';
import { newLife, type Life } from './life.ts';
import { Publisher } from './publisher.ts';
import { asRecorded } from './replay-compat.ts';
import { RestWatch } from './rest-watch.ts';

/** The server suggests a new run at 4096 events; in a crash loop the suggestion comes a few events too late for that. */
const MAX_EVENTS = 3_800;

/**
 * @param input the body of `POST /agents`
 * @param given the life as it stood; only counts in a workflow run that continues another one
 */
export async function agent(input: AgentInput, given?: Life): Promise<void> {
  const info = workflowInfo();
  // Whoever starts a workflow may pass it anything; what one run of it hands to the next is our own.
  const carried = info.continuedFromExecutionRunId === undefined ? undefined : given;
  const agentId = checkId(input, info.workflowId);
  const started = carried ? { state: carried.state, effects: [] } : birth(birthOptions(input));
  const life = carried ?? newLife(input, started.state);
  const effects = new Effects(life, agentId);
  const publisher = new Publisher(life, info);
  const rests = new RestWatch(life);
  registerHandlers(life);

  // Somebody cancelled the workflow with Temporal's tools. A process is ended by a stop, so that is what it means.
  CancellationScope.current().cancelRequested.catch(() => life.queue.push({ kind: 'stop' }));

  await CancellationScope.nonCancellable(async () => {
    effects.perform(carried ? resume(life.state, Date.now()) : started.effects);
    publisher.publish();
    let isHeldUp = false;
    for (;;) {
      await condition(
        () =>
          life.queue.length > 0 ||
          life.signals.length > 0 ||
          rests.hasNews ||
          (isHeldUp && !effects.isHolding && !effects.isDelivering),
      );
      for (let event = life.queue.shift(); event; event = life.queue.shift()) {
        const recorded = asRecorded(life.state, event);
        const next = step(recorded.state, recorded.event, { nowMs: Date.now(), random01: Math.random() });
        life.state = next.state;
        effects.perform(next.effects);
        publisher.note(next.effects);
      }
      effects.deliverSignals();
      rests.tell();
      life.revision = life.accepted;
      publisher.publish();
      const { phase } = life.state;
      if (phase.kind === 'closed') {
        await rests.allTold();
        await effects.reports.allTold();
        if (phase.outcome.kind === 'failed') {
          throw ApplicationFailure.nonRetryable(phase.outcome.message, phase.outcome.code);
        }
        return;
      }
      const { continueAsNewSuggested, historyLength } = workflowInfo();
      const isDue = continueAsNewSuggested || historyLength > MAX_EVENTS;
      // The next run would not know of a pause under way, and a signal would get lost with this one.
      if (isDue && !effects.isHolding && !effects.isDelivering) {
        await continueAsNew<typeof agent>(life.input, { ...life, queue: [], signals: [] });
      }
      // The end of a pause is an event in the queue; that of a delivery is not.
      isHeldUp = isDue && effects.isDelivering;
    }
  });
}

function checkId(input: AgentInput | undefined, workflowId: string): string {
  const agentId: unknown = input?.agent_id;
  if (!isAgentId(agentId)) {
    const message = `The input must be an object with an agent_id of ${AGENT_ID_PATTERN.source}, got ${JSON.stringify(agentId)}`;
    throw ApplicationFailure.nonRetryable(message, 'INVALID_REQUEST');
  }
  if (workflowId !== workflowIdOf(agentId)) {
    const message = `The workflow id is ${workflowId}, but the agent ${agentId} lives in ${workflowIdOf(agentId)}`;
    throw ApplicationFailure.nonRetryable(message, 'ID_MISMATCH');
  }
  const problem = shapeProblem(input as AgentInput);
  if (problem !== undefined) throw ApplicationFailure.nonRetryable(problem, 'INVALID_REQUEST');
  return agentId;
}

function birthOptions(input: AgentInput): Parameters<typeof birth>[0] {
  // Unsigned, the input only claims to come from a file: the admission refuses it, and the id has to be free again.
  const isSigned = input.signature !== undefined;
  const keepOnFailure = isSigned && (input.origin?.startsWith('file ') ?? false);
  return input.restore && isSigned ? { keepOnFailure, restore: input.restore } : { keepOnFailure };
}
