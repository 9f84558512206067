import { codeOf } from '../contract/errors.ts';
import type { TemplatesView, TemplateView, TemplateVariableView } from '../contract/template-view.ts';
import type { TemplateSource } from '../ports/template-source.ts';
import { parseTemplate, type Template } from '../schema/template.ts';

/** Where templates come from at the moment; a reload may change it. */
export interface TemplatePlace {
  readonly source: TemplateSource;
  /** The folder or URL. */
  readonly location: string;
}

/** All templates of the Agent Design Layer; those that cannot be used say why. */
export async function listTemplates({ source, location }: TemplatePlace): Promise<TemplatesView> {
  const { ids, stale = null } = await source.list();
  const templates = await Promise.all(
    ids.map((id) => templateOf(source, id).catch((error: unknown) => brokenTemplate(id, error))),
  );
  return { design_layer: location, templates, stale };
}

/** @throws CodedError TEMPLATE_NOT_FOUND, TEMPLATE_INVALID, DESIGN_LAYER_UNAVAILABLE */
export function getTemplate({ source }: TemplatePlace, templateId: string): Promise<TemplateView> {
  return templateOf(source, templateId);
}

async function templateOf(source: TemplateSource, id: string): Promise<TemplateView> {
  const text = await source.load(id);
  const template = parseTemplate(text);
  return {
    template_id: id,
    version: text.version,
    location: text.location,
    description: template.description ?? null,
    command: template.command ?? null,
    fault_domain: template.fault_domain ?? null,
    variables: variablesOf(template),
    stale: text.stale ?? null,
    problem: null,
  };
}

function variablesOf({ variables = {} }: Template): Record<string, TemplateVariableView> {
  const views = Object.entries(variables).map(([name, spec]): [string, TemplateVariableView] => [
    name,
    {
      type: spec.type ?? 'string',
      required: spec.default === undefined && (spec.required ?? true),
      default: spec.default ?? null,
      pattern: spec.pattern ?? null,
      description: spec.description ?? null,
    },
  ]);
  return Object.fromEntries(views);
}

function brokenTemplate(id: string, error: unknown): TemplateView {
  const code = codeOf(error);
  if (code === undefined) throw error;
  return {
    template_id: id,
    version: null,
    location: null,
    description: null,
    command: null,
    fault_domain: null,
    variables: {},
    stale: null,
    problem: { code, message: (error as Error).message },
  };
}
