import type { AgentView } from '../contract/agent-view.ts';

export interface ListFilter {
  state?: string;
  template_id?: string;
  /** All of them: `name=value`, or `name` with any value. */
  labels?: string[];
}

export function matches(view: AgentView, { state, template_id, labels = [] }: ListFilter): boolean {
  if (state !== undefined && view.state !== state) return false;
  if (template_id !== undefined && view.template_id !== template_id) return false;
  return hasLabels(view.labels, labels);
}

/** @param wanted `name=value`, or `name` with any value */
export function hasLabels(labels: Record<string, string>, wanted: string[]): boolean {
  return wanted.every((label) => {
    const [name, ...value] = label.split('=');
    if (name === undefined || !Object.hasOwn(labels, name)) return false;
    return value.length === 0 || labels[name] === value.join('=');
  });
}
