/** Reports an agent's incidents one after the other, so that the end of one never arrives before its beginning. */
import { condition, log, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { IncidentActivities, IncidentNews } from '../../contract/incident-activities.ts';
import { incidentIdOfAgent, incidentIdOfLimit } from '../../contract/incident-view.ts';
import { ORCHESTRATOR_QUEUE, summaryOf } from '../../contract/names.ts';
import type { AgentEffect } from '../../domain/agent-state.ts';
import type { Trouble } from '../../domain/incidents/agent-trouble.ts';
import type { Life } from './life.ts';
import { reportsIncidents } from './replay-compat.ts';

type ReportingEffect = Extract<
  AgentEffect,
  { kind: 'open-incident' | 'update-incident' | 'resolve-incident' | 'notice' | 'notice-over' }
>;

/** How long the end of a workflow waits for it; what is left then is found by the upkeep of the incidents. */
const LAST_WORDS = '5s';

export class IncidentReports {
  private readonly life: Life;
  private readonly agentId: string;
  private isTelling = false;

  constructor(life: Life, agentId: string) {
    this.life = life;
    this.agentId = agentId;
    // What the run before this one could not tell any more.
    void this.tell();
  }

  take(effect: ReportingEffect): void {
    log.warn(effect.kind, { agent_id: this.agentId, summary: effect.summary });
    if (!reportsIncidents()) return;
    this.life.reports = [...(this.life.reports ?? []), this.newsOf(effect)];
    void this.tell();
  }

  async allTold(): Promise<void> {
    if (this.isTelling) await condition(() => !this.isTelling, LAST_WORDS);
  }

  private newsOf(effect: ReportingEffect): IncidentNews {
    const { summary } = effect;
    switch (effect.kind) {
      case 'open-incident':
      case 'update-incident':
        return this.report(incidentIdOfAgent(this.agentId, effect.episode), summary, effect.trouble);
      case 'notice':
        return this.report(incidentIdOfLimit(this.agentId), summary, effect.trouble);
      case 'resolve-incident':
        return { kind: 'over', incident_id: incidentIdOfAgent(this.agentId, effect.episode), note: summary };
      case 'notice-over':
        return { kind: 'over', incident_id: incidentIdOfLimit(this.agentId), note: summary };
    }
  }

  private report(incident_id: string, summary: string, trouble: Trouble): IncidentNews {
    const { kind, severity, value, threshold, tried, needed, stableMs } = trouble;
    this.life.reported = (this.life.reported ?? 0) + 1;
    const said = Object.entries({ value, threshold, tried, needed }).filter(([, text]) => text !== null);
    return {
      kind: 'report',
      incident_id,
      report: {
        // Unique also over all lives of agents of this name.
        report_id: `${workflowInfo().runId}/${this.life.reported}`,
        kind,
        severity,
        summary,
        agent_id: this.agentId,
        ...Object.fromEntries(said),
        ...(stableMs === null ? {} : { stable_ms: stableMs }),
      },
    };
  }

  private async tell(): Promise<void> {
    if (this.isTelling) return;
    this.isTelling = true;
    for (let news = this.life.reports?.[0]; news; news = this.life.reports?.[0]) {
      try {
        await activityFor(news).reportIncident(news);
      } catch (error) {
        // Somebody has failed it by hand.
        log.error('an incident was not reported', { incident_id: news.incident_id, error: String(error) });
      }
      this.life.reports = this.life.reports?.slice(1) ?? [];
    }
    this.isTelling = false;
  }
}

const activityFor = (news: IncidentNews): Pick<IncidentActivities, 'reportIncident'> =>
  proxyActivities<IncidentActivities>({
    taskQueue: ORCHESTRATOR_QUEUE,
    startToCloseTimeout: '30s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '15s' },
    summary: summaryOf(`${news.incident_id}: ${news.kind === 'report' ? news.report.summary : news.note}`),
  });
