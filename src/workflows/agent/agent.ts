/**
 * The workflow `agent`: one agent's life, open from creation to deletion.
 *
 * It only interprets the reducer of `src/domain`: handlers and finished activities put events into a queue, one loop
 * takes them out in order, and the effects that the reducer returns are carried out by `Effects`. Nothing else holds state.
 */
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  patched,
  workflowInfo,
} from '@temporalio/workflow';
import type { AgentInput } from '../../contract/agent-input.ts';
import { workflowIdOf } from '../../contract/names.ts';
import { AGENT_ID_PATTERN, isAgentId } from '../../domain/ids.ts';
import { birth, resume, step } from '../../domain/agent-reducer.ts';
import type { AgentEvent, AgentState } from '../../domain/agent-state.ts';
import type { Custody, ExitRecord } from '../../domain/custody.ts';
import { asJudged, isReplaced } from '../../domain/life/ends.ts';
import { custodyHinted, isStopDone } from '../../domain/life/reconcile.ts';
import { Effects } from './effects.ts';
import { registerHandlers } from './handlers.ts';
import { shapeProblem } from './input-shape.ts';
import { newLife, type Life } from './life.ts';
import { Publisher } from './publisher.ts';
import { RestWatch } from './rest-watch.ts';

type CustodyNews = Extract<AgentEvent, { custody: Custody }>;

/** The server suggests a new run at 4096 events; in a crash loop the suggestion comes a few events too late for that. */
const MAX_EVENTS = 3_800;

/**
 * @param input the body of `POST /agents`
 * @param given only counts in a run that continues another one: the life as it stood
 */
export async function agent(input: AgentInput, given?: Life): Promise<void> {
  const info = workflowInfo();
  // Who starts a workflow may give it anything; what a run hands to the next one is our own.
  const carried = info.continuedFromExecutionRunId === undefined ? undefined : given;
  const agentId = checkId(input, info.workflowId);
  const started = carried ? { state: carried.state, effects: [] } : birth(birthOptions(input));
  const life = carried ?? newLife(input, started.state);
  const effects = new Effects(life, agentId);
  const publisher = new Publisher(life, info);
  const rests = new RestWatch(life);
  registerHandlers(life);

  // Somebody cancelled the workflow with Temporal's tools. What ends a process is a stop, so it is taken as one.
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
        const { state, known } = asRecorded(life.state, event);
        const next = step(state, known, { nowMs: Date.now(), random01: Math.random() });
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
      // A pause under way would be unknown to the next run, and a signal would get lost with this one.
      if (isDue && !effects.isHolding && !effects.isDelivering) {
        await continueAsNew<typeof agent>(life.input, { ...life, queue: [], signals: [] });
      }
      // The end of a pause is an event in the queue; that of a delivery is not.
      isHeldUp = isDue && effects.isDelivering;
    }
  });
}

/**
 * In a run from before that, what was told counted at once, an end that was faster than an ordered restart was judged, and
 * only its own answer settled a stop. Asked for only where it makes a difference: it is an event.
 */
function asRecorded(state: AgentState, event: AgentEvent): { state: AgentState; known: AgentEvent } {
  const isBelieved =
    event.kind === 'custody-hinted' && custodyHinted(state, event).effects.length > 0 && !patched('told-is-checked');
  const told: AgentEvent = isBelieved ? { kind: 'custody-answered', custody: event.custody } : event;
  const known = settlesLostStop(state, told) && !patched('lost-stop-settles') ? withoutFence(told) : told;
  const exit = exitIn(known);
  const isReplacement = exit !== undefined && exit.generation > state.handled && isReplaced(state, exit);
  if (!isReplacement || patched('ordered-restart-holds')) return { state, known };
  return { state: asJudged(state), known };
}

/** Whether the custodian's word ends a stop whose own answer has not come; or does so above a fence that it did not raise. */
function settlesLostStop(state: AgentState, event: AgentEvent): event is CustodyNews {
  if (!('custody' in event) || event.kind === 'custody-hinted' || !isStopDone(state, event.custody)) return false;
  return event.kind !== 'stop-settled' || event.custody.fence > state.generation;
}

const withoutFence = <News extends CustodyNews>(news: News): News => ({
  ...news,
  custody: { ...news.custody, fence: 0 },
});

/** The end that an event tells of. */
function exitIn(event: AgentEvent): ExitRecord | undefined {
  if (event.kind === 'ended') return event.exit;
  if (event.kind === 'custody-hinted' || !('custody' in event)) return undefined;
  return event.custody.live ? undefined : event.custody.last_exit;
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
  // Without a signature it only claims to come from a file: the admission refuses it, and the id has to be free again.
  const isSigned = input.signature !== undefined;
  const keepOnFailure = isSigned && (input.origin?.startsWith('file ') ?? false);
  return input.restore && isSigned ? { keepOnFailure, restore: input.restore } : { keepOnFailure };
}
