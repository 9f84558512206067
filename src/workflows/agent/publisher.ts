/** Makes the life visible: to the roster through a sink, to people in the Web UI by attributes and details. */
import {
  proxySinks,
  setCurrentDetails,
  upsertSearchAttributes,
  type Sinks,
  type WorkflowInfo,
} from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../../contract/names.ts';
import type { AgentEffect } from '../../domain/agent-state.ts';
import { snapshot } from '../../domain/agent-reducer.ts';
import type { Decision, Transition } from '../../contract/decision.ts';
import type { Life } from './life.ts';
import { detailsOf, reasonOf, storyOf } from './status.ts';

export interface RosterSinks extends Sinks {
  roster: { publish(decision: Decision): void };
}

const { roster } = proxySinks<RosterSinks>();

/** How many transitions travel with each decision, so that one that got lost comes with the next. */
const TAIL = 20;

export class Publisher {
  private readonly life: Life;
  private readonly info: WorkflowInfo;

  constructor(life: Life, info: WorkflowInfo) {
    this.life = life;
    this.info = info;
  }

  /** Writes incidents into the transitions. */
  note(effects: AgentEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'notice') this.append('incident', `notice of ${this.life.input.agent_id}: ${effect.summary}`);
      if (effect.kind === 'open-incident' || effect.kind === 'update-incident' || effect.kind === 'resolve-incident') {
        const verb = effect.kind.replace('-incident', '');
        this.append('incident', `${verb} ${this.life.input.agent_id}/${effect.episode}: ${effect.summary}`);
      }
    }
  }

  publish(): void {
    const { state } = this.life;
    const last = this.life.transitions.findLast((transition) => transition.state !== 'incident');
    const reason = storyOf(this.life);
    if (last?.state !== state.phase.kind || last.reason !== reason || last.generation !== state.generation) {
      this.append(state.phase.kind, reason);
    }
    this.life.sequence += 1;
    roster.publish(this.decision());
    this.writeAttributes();
    setCurrentDetails(detailsOf(this.life));
  }

  private append(kind: Transition['state'], reason: string): void {
    const transition = { at_ms: Date.now(), state: kind, generation: this.life.state.generation, reason };
    this.life.sequence += 1;
    this.life.transitions = [...this.life.transitions, { sequence: this.life.sequence, ...transition }].slice(-TAIL);
  }

  private decision(): Decision {
    const { state, definition, input, proposed } = this.life;
    return {
      agent_id: input.agent_id,
      workflow_id: this.info.workflowId,
      run_id: this.info.runId,
      sequence: this.life.sequence,
      at_ms: Date.now(),
      phase: state.phase,
      desired: state.desired,
      revision: this.life.revision,
      ...(state.phase.kind === 'closed' ? { request_id: this.life.requestId } : {}),
      reason: reasonOf(this.life),
      generation: state.generation,
      restarts: state.restarts,
      template_id: input.template_id ?? null,
      template_version: definition?.template_version ?? null,
      fault_domain: definition?.fault_domain ?? input.fault_domain ?? 'default',
      critical: state.rules?.restart.onGiveUp === 'fail-stop',
      host: this.life.host,
      ...(definition?.checks ? { checks: definition.checks } : {}),
      ...(definition?.wake_on_message ? { wake_on_message: true as const } : {}),
      ...(state.rules?.dependencies ? { dependencies: state.rules.dependencies } : {}),
      // What the agent is being started with counts from now on, also for those who ask which run it is started for.
      input: state.phase.kind === 'admitting' ? (proposed ?? input) : input,
      snapshot: snapshot(state),
      transitions: this.life.transitions,
    };
  }

  /** Each write is a history event and a row in the visibility store: only what has changed, and nothing while healthy. */
  private writeAttributes(): void {
    const { state, input, definition, host } = this.life;
    // One write for all of them, once the admission has brought the rest.
    if (state.phase.kind === 'admitting') return;
    const values: Record<(typeof SEARCH_ATTRIBUTES)[number], string | null | undefined> = {
      AgentId: input.agent_id,
      AgentState: state.phase.kind === 'live' ? 'running' : state.phase.kind,
      TemplateId: input.template_id,
      FaultDomain: definition?.fault_domain,
      Host: host,
    };
    const changed = SEARCH_ATTRIBUTES.flatMap((name) => {
      const value = values[name];
      if (!value || this.life.attributes[name] === value) return [];
      this.life.attributes[name] = value;
      // What is compared stays the phase: lives that began with it as their word must not write once more.
      const word = value === 'waiting' && name === 'AgentState' ? 'pending' : value;
      return [{ key: defineSearchAttributeKey(name, 'KEYWORD'), value: word }];
    });
    if (changed.length > 0) upsertSearchAttributes(changed);
  }
}
