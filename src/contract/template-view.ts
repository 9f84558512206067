/** A template as the API shows it: never its environment, which may hold what is not for everybody. */
export interface TemplateView {
  template_id: string;
  /** Digest of its text; null if it cannot be read. */
  version: string | null;
  /** The file or URL. */
  location: string | null;
  description: string | null;
  command: string[] | null;
  fault_domain: string | null;
  variables: Record<string, TemplateVariableView>;
  /** Why this is an earlier copy; null for the original. */
  stale: string | null;
  /** Why no agent can be started from it. */
  problem: { code: string; message: string } | null;
}

export interface TemplateVariableView {
  type: 'string' | 'number' | 'boolean';
  required: boolean;
  default: string | number | boolean | null;
  pattern: string | null;
  description: string | null;
}

/** The answer of `GET /templates`. */
export interface TemplatesView {
  /** The folder or URL of the Agent Design Layer. */
  design_layer: string;
  templates: TemplateView[];
  /** Why these are only those of which there is a copy; null otherwise. */
  stale: string | null;
}
