/** What the API answers about templates, as schemas; see `views.ts`. */
import { z } from 'zod';
import type { TemplatesView, TemplateView } from '../contract/template-view.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]);

export const templateView = z
  .object({
    template_id: z.string(),
    version: z.string().nullable().meta({ description: 'Digest of its text; null if it cannot be read' }),
    location: z.string().nullable().meta({ description: 'The file or URL' }),
    description: z.string().nullable(),
    command: z.array(z.string()).nullable(),
    fault_domain: z.string().nullable(),
    variables: z.record(
      z.string(),
      z.object({
        type: z.enum(['string', 'number', 'boolean']),
        required: z.boolean(),
        default: scalar.nullable(),
        pattern: z.string().nullable(),
        description: z.string().nullable(),
      }),
    ),
    stale: z.string().nullable().meta({ description: 'Why this is an earlier copy; null for the original' }),
    problem: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .meta({ description: 'Why no agent can be started from it' }),
  })
  .meta({ id: 'Template' }) satisfies z.ZodType<TemplateView>;

export const templatesView = z
  .object({
    design_layer: z.string().meta({ description: 'The folder or URL of the Agent Design Layer' }),
    templates: z.array(templateView),
    stale: z.string().nullable().meta({ description: 'Why these are only those of which there is a copy' }),
  })
  .meta({ id: 'Templates' }) satisfies z.ZodType<TemplatesView>;
