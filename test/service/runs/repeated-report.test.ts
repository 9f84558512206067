import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { IncidentReport } from '../../../src/contract/incident-view.ts';
import { runActivities, type RunActivityDeps } from '../../../src/service/runs/run-activities.ts';
import { incidentFixture, type IncidentFixture } from '../incidents/incident-fixture.ts';

let fixture: IncidentFixture;
beforeAll(async () => {
  fixture = await incidentFixture({ cli: inject('temporalCli'), bundle: inject('workflowBundle') ?? 'missing' });
});
afterAll(() => fixture?.end());

it('counts what a run reports once, also if it is tried again after people have resolved it', async () => {
  const { incidents } = fixture;
  const deps = {
    report: ({ incident_id = 'none', ...report }: IncidentReport, report_id = crypto.randomUUID() as string) =>
      incidents.reportOwn(incident_id, { ...report, report_id }),
    log: () => undefined,
  };
  const { reportRun } = runActivities(deps as unknown as RunActivityDeps);
  const reportOf = (run_id: string): IncidentReport => ({
    incident_id: 'schedule.s.run',
    kind: 'run',
    severity: 'warning',
    summary: `The run ${run_id} has failed`,
    details: { run_id },
  });
  await reportRun(reportOf('r-1'));
  await fixture.untilIncident('schedule.s.run', ({ count }) => count === 1, 'is told');
  await incidents.overOwn('schedule.s.run', 'it is mended');
  await fixture.untilIncident('schedule.s.run', ({ state }) => state === 'resolved', 'is over');
  await reportRun(reportOf('r-1'));
  await reportRun(reportOf('r-2'));
  const { count } = await fixture.untilIncident('schedule.s.run', ({ state }) => state !== 'resolved', 'is open again');
  expect(count).toBe(2);
});
