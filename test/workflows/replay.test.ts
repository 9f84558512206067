import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { describe, inject, it } from 'vitest';

// A replay tells of its own beginning and end in ten lines each.
Runtime.install({ logger: new DefaultLogger('WARN') });

const HISTORIES = path.join(import.meta.dirname, '..', 'histories');

interface History {
  events: { workflowExecutionStartedEventAttributes?: { workflowId?: string } }[];
}

/** Replays publish nothing. */
const SILENT = { publish: { fn: () => undefined, callDuringReplay: false } };

/** A workflow that cannot be replayed would leave every running agent without its workflow after an upgrade. */
describe('recorded histories', () => {
  it.each(readdirSync(HISTORIES))('%s replays on the workflow code as it is now', async (file) => {
    const codePath = inject('workflowBundle');
    if (codePath === undefined) throw new Error('dist/workflow-bundle.js is missing: the build failed');
    const history = JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8')) as History;
    const { workflowId } = history.events[0]?.workflowExecutionStartedEventAttributes ?? {};
    await Worker.runReplayHistory(
      { workflowBundle: { codePath }, sinks: { roster: SILENT, records: SILENT } },
      history,
      workflowId ?? `agent/${file.split('_')[0]}`,
    );
  });
});
