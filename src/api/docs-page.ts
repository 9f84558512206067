/** The OpenAPI document as a page that needs neither scripts nor the network. */
import { createHash } from 'node:crypto';
import type { OpenAPIV3_1 } from 'openapi-types';
import type { OpenApiDocument } from './openapi.ts';

const STYLE = `
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); text-transform: capitalize; }
h3 { font: 600 1rem ui-monospace, monospace; margin: 2rem 0 .3rem; }
.method { display: inline-block; min-width: 4.2rem; font-weight: 700; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-top: 1px solid var(--line); }
th { font-weight: 600; white-space: nowrap; }
code, pre { font: 13px/1.45 ui-monospace, monospace; } pre { overflow: auto; padding: .8rem; border: 1px solid var(--line); }
nav a { display: inline-block; margin-right: 1rem; } .quiet { opacity: .7; } summary { cursor: pointer; }
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** Nothing is loaded, nothing runs, nobody frames it. */
export const DOCS_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const METHODS = ['get', 'post', 'put', 'delete'] as const;

export function docsPage(document: OpenApiDocument): string {
  const { info, tags = [], components } = document;
  const sections = tags.map(({ name, description = '' }) => {
    const operations = operationsOf(document).filter(({ operation }) => operation.tags?.includes(name));
    return `<h2 id="tag-${name}">${escape(name)}</h2><p>${inline(description)}</p>${operations.map(operationHtml).join('')}`;
  });
  const schemas = Object.entries(components?.schemas ?? {}).map(
    ([name, schema]) =>
      `<details id="schema-${name}"><summary><code>${escape(name)}</code></summary>${pre(schema)}</details>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escape(info.title)}: API</title><style>${STYLE}</style></head><body>
<h1>${escape(info.title)} <span class="quiet">${escape(info.version)}</span></h1>
<p>${inline(info.description ?? '')}</p>
<p><a href="/openapi.json">openapi.json</a></p>
<nav>${tags.map(({ name }) => `<a href="#tag-${name}">${escape(name)}</a>`).join('')}<a href="#schemas">schemas</a></nav>
${sections.join('\n')}
<h2 id="schemas">schemas</h2>
${schemas.join('\n')}
</body></html>
`;
}

interface Listed {
  method: string;
  path: string;
  operation: OpenAPIV3_1.OperationObject;
}

function operationsOf({ paths = {} }: OpenApiDocument): Listed[] {
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item?.[method];
      return operation === undefined ? [] : [{ method: method.toUpperCase(), path, operation }];
    }),
  );
}

function operationHtml({ method, path, operation }: Listed): string {
  const { operationId, summary = '', description, parameters = [], requestBody, responses = {} } = operation;
  const rows = (parameters as OpenAPIV3_1.ParameterObject[]).map(parameterRow);
  const body = contentOf(requestBody as OpenAPIV3_1.RequestBodyObject | undefined);
  const answers = Object.entries(responses).map(([status, response]) => {
    const { description: what, ...rest } = response as OpenAPIV3_1.ResponseObject;
    return `<tr><th>${status}</th><td>${inline(what)}${contentOf(rest)}</td></tr>`;
  });
  return `<h3 id="${operationId}"><span class="method">${method}</span> ${escape(path)}</h3>
<p>${inline(summary)}.${description === undefined ? '' : ` <span class="quiet">${inline(description)}</span>`}</p>
${rows.length === 0 ? '' : `<table>${rows.join('')}</table>`}
${body === '' ? '' : `<p>Body${body}</p>`}
<details><summary>Answers</summary><table>${answers.join('')}</table></details>`;
}

function parameterRow({ name, in: place, required, schema = {}, description }: OpenAPIV3_1.ParameterObject): string {
  const { description: own, ...rest } = schema as OpenAPIV3_1.SchemaObject;
  const about = description ?? own ?? '';
  const shape = Object.keys(rest).length === 0 ? '' : ` <code class="quiet">${escape(JSON.stringify(rest))}</code>`;
  const where = `${place}${required === true ? ', required' : ''}`;
  return `<tr><th><code>${escape(name)}</code></th><td class="quiet">${where}</td><td>${inline(about)}${shape}</td></tr>`;
}

function contentOf(holder: { content?: Record<string, OpenAPIV3_1.MediaTypeObject> } | undefined): string {
  return Object.entries(holder?.content ?? {})
    .map(([type, { schema = {} }]) => {
      const reference = (schema as OpenAPIV3_1.ReferenceObject).$ref?.split('/').at(-1);
      const link = reference === undefined ? '' : ` <a href="#schema-${reference}">${escape(reference)}</a>`;
      return ` <span class="quiet">${escape(type)}</span>${link}`;
    })
    .join(',');
}

const pre = (value: unknown): string => `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`;

/** Text in which \`code\` is code. */
const inline = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>');

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
