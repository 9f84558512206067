/**
 * What the workflow itself reads of an input, before an activity has checked the whole of it. Anybody who reaches
 * Temporal may have written it, and an input that the workflow trips over would fail its tasks for ever: nobody could stop the
 * agent any more.
 */
import type { AgentInput } from '../../contract/agent-input.ts';
import { isTemplateId, TEMPLATE_ID_PATTERN } from '../../domain/ids.ts';

const TEXTS = ['fault_domain', 'origin', 'created_by', 'request_id', 'signature'] as const;
const PHASES: readonly unknown[] = ['completed', 'disabled', 'other'];
const DESIRED: readonly unknown[] = ['running', 'paused', 'stopped', 'deleted'];

/** What is wrong, as a sentence that names the field; undefined if nothing is. */
export function shapeProblem(input: AgentInput): string | undefined {
  for (const name of TEXTS) {
    if (input[name] !== undefined && typeof input[name] !== 'string') return problem(name, 'a text', input[name]);
  }
  const { template_id, labels, command, restore, run } = input;
  if (template_id !== undefined && !isTemplateId(template_id))
    return problem('template_id', `a text of the form ${TEMPLATE_ID_PATTERN.source}`, template_id);
  if (labels !== undefined && !(isObject(labels) && Object.values(labels).every(isText)))
    return problem('labels', 'texts by name', labels);
  if (command !== undefined && !(Array.isArray(command) && command.every(isText)))
    return problem('command', 'a list of texts', command);
  if (run !== undefined && !(isObject(run) && isText(run['run_id']) && isCount(run['attempt'])))
    return problem('run', 'what the daemon writes there', run);
  if (restore !== undefined && !isSnapshot(restore)) return problem('restore', 'what the daemon writes there', restore);
  return undefined;
}

function isSnapshot(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { desired, phase, generation, handled, restarts, failures, episode, lastExit, failStop, reason } = value;
  return (
    DESIRED.includes(desired) &&
    PHASES.includes(phase) &&
    [generation, handled, restarts].every(isCount) &&
    isObject(failures) &&
    isCount(failures['consecutive']) &&
    Array.isArray(failures['timesMs']) &&
    isObject(episode) &&
    isCount(episode['number']) &&
    (lastExit === null || (isObject(lastExit) && isCount(lastExit['generation']) && isText(lastExit['cause']))) &&
    (failStop === undefined ||
      (isObject(failStop) && isCount(failStop['decidedAtMs']) && isText(failStop['reason']))) &&
    isText(reason)
  );
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function problem(field: string, expected: string, seen: unknown): string {
  return `${field} must be ${expected}, got ${JSON.stringify(seen).slice(0, 80)}`;
}
