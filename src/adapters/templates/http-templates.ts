import { CodedError } from '../../contract/errors.ts';
import { isTemplateId } from '../../domain/ids.ts';
import type { TemplateList, TemplateSource, TemplateText } from '../../ports/template-source.ts';
import { TemplateCache, type CachedTemplate } from './template-cache.ts';
import { invalidText, MAX_TEMPLATE_BYTES, parseTemplateText, templateNotFound, versionOf } from './template-content.ts';

export interface HttpTemplatesOptions {
  /** Without a slash at its end; templates are at `<url>/templates` and `<url>/templates/<id>`. */
  url: string;
  /** Sent as a bearer token. */
  token: string | null;
  cacheFolder: string;
  /** Told once when the service goes away, and once when it is back. */
  onChange: (reachable: boolean, why: string) => void;
  onTrouble: (message: string, error: unknown) => void;
  /** For one request. @default 5000 */
  timeoutMs?: number;
  /** How long a service that failed is left in peace while there are copies. @default 5000 */
  pauseMs?: number;
}

/** How often a copy that is still right is written again, to tell when it was confirmed. */
const CONFIRM_EVERY_MS = 60_000;

/** Why the service cannot be used. */
class Away {
  readonly why: string;
  constructor(why: string) {
    this.why = why;
  }
}

interface Reply {
  status: number;
  etag: string | null;
  format: 'json' | 'yaml';
  content: string;
}

/**
 * Templates of a service. Every answer is kept on disk; while the service is away the copies are used, and say so. A
 * service that says 404 is believed.
 */
export class HttpTemplates implements TemplateSource {
  private readonly options: HttpTemplatesOptions;
  private readonly cache: TemplateCache;
  private readonly loading = new Map<string, Promise<TemplateText>>();
  private away: { why: string; untilMs: number } | undefined;

  constructor(options: HttpTemplatesOptions) {
    this.options = options;
    this.cache = new TemplateCache(options.cacheFolder, options.url);
  }

  /** A hundred agents that start at once ask once. */
  load(templateId: string): Promise<TemplateText> {
    const known = this.loading.get(templateId);
    if (known) return known;
    const loading = this.loadOne(templateId).finally(() => this.loading.delete(templateId));
    this.loading.set(templateId, loading);
    return loading;
  }

  async list(): Promise<TemplateList> {
    const url = `${this.options.url}/templates`;
    const reply = await this.ask(url, null);
    if (reply instanceof Away) {
      const copies = await this.cache.list();
      return { ids: copies.map(({ id }) => id), stale: `only those of which there is a copy: ${reply.why}` };
    }
    const ids = reply.status === 200 ? idsOf(reply.content) : undefined;
    if (ids !== undefined) return { ids };
    const seen = reply.status === 200 ? 'no list of templates' : `status ${reply.status}`;
    throw this.unavailable(`${url} answered with ${seen}; expected a JSON list of ids, or { "templates": [{ "id" }] }`);
  }

  private async loadOne(id: string): Promise<TemplateText> {
    if (!isTemplateId(id)) throw templateNotFound(id, 'such a name is not possible', { url: this.options.url });
    const url = `${this.options.url}/templates/${encodeURIComponent(id)}`;
    const copy = await this.cache.get(id);
    const reply = await this.ask(url, copy?.etag ?? null, copy !== undefined);
    if (reply instanceof Away) {
      if (copy === undefined)
        throw this.unavailable(`template ${id} cannot be fetched, and there is no copy: ${reply.why}`);
      const stale = `a copy of template ${id} of ${copy.confirmed_at} is used: ${reply.why}`;
      return { ...textOf(copy, url), stale };
    }
    if (reply.status === 404) {
      await this.keep(() => this.cache.remove(id));
      throw templateNotFound(id, `${url} answered with status 404`, { url });
    }
    if (reply.status === 304 && copy !== undefined) {
      await this.remember({ ...copy, confirmed_at: new Date().toISOString() }, copy);
      return textOf(copy, url);
    }
    const { content, format, etag } = reply;
    const text = parseTemplateText(id, url, content, format);
    const confirmed_at = new Date().toISOString();
    const version = versionOf(content);
    await this.remember({ id, url: this.options.url, etag, confirmed_at, format, version, content }, copy);
    return text;
  }

  /** @param patient whether it can wait, because there is a copy */
  private async ask(url: string, etag: string | null, patient = false): Promise<Reply | Away> {
    const { away } = this;
    if (patient && away !== undefined && performance.now() < away.untilMs) return new Away(away.why);
    const reply = await this.fetch(url, etag);
    if (reply instanceof Away) {
      const untilMs = performance.now() + (this.options.pauseMs ?? 5000);
      if (away === undefined) this.options.onChange(false, reply.why);
      this.away = { why: reply.why, untilMs };
    } else if (away !== undefined) {
      this.away = undefined;
      this.options.onChange(true, `${this.options.url} answers again`);
    }
    return reply;
  }

  private async fetch(url: string, etag: string | null): Promise<Reply | Away> {
    const { token, timeoutMs = 5000 } = this.options;
    const headers: Record<string, string> = { accept: 'application/json, application/yaml;q=0.9' };
    if (token !== null) headers['authorization'] = `Bearer ${token}`;
    if (etag !== null) headers['if-none-match'] = etag;
    try {
      // A redirect could carry the token elsewhere.
      const response = await fetch(url, { headers, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
      const { status } = response;
      if (status !== 200 && status !== 304 && status !== 404) {
        await response.body?.cancel();
        return new Away(`${url} answered with status ${status}`);
      }
      const format = (response.headers.get('content-type') ?? '').includes('yaml') ? 'yaml' : 'json';
      const content = status === 200 ? await limitedText(response, url) : '';
      if (status !== 200) await response.body?.cancel();
      return { status, etag: response.headers.get('etag'), format, content };
    } catch (error) {
      if (error instanceof CodedError) throw error;
      return new Away(`${url} does not answer (${whyOf(error, timeoutMs)})`);
    }
  }

  private async remember(entry: CachedTemplate, known: CachedTemplate | undefined): Promise<void> {
    const isSame = known?.version === entry.version && known.etag === entry.etag;
    if (isSame && Date.parse(entry.confirmed_at) - Date.parse(known.confirmed_at) < CONFIRM_EVERY_MS) return;
    await this.keep(() => this.cache.put(entry));
  }

  /** Without a copy an agent starts as well as with one. */
  private async keep(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.options.onTrouble('The copy of a template cannot be written', error);
    }
  }

  private unavailable(why: string): CodedError {
    return new CodedError('DESIGN_LAYER_UNAVAILABLE', `The Agent Design Layer: ${why}`, { url: this.options.url });
  }
}

const textOf = (copy: CachedTemplate, url: string): TemplateText =>
  parseTemplateText(copy.id, url, copy.content, copy.format);

async function limitedText(response: Response, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_TEMPLATE_BYTES) {
      throw invalidText(
        url.slice(url.lastIndexOf('/') + 1),
        url,
        `has more than the limit of ${MAX_TEMPLATE_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function whyOf(error: unknown, timeoutMs: number): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  return cause?.code ?? cause?.message ?? message;
}

/** `["A"]`, `[{ "id": "A" }]`, or one of them under `templates`. */
function idsOf(content: string): string[] | undefined {
  let data: unknown;
  try {
    data = JSON.parse(content);
  } catch {
    return undefined;
  }
  const list = Array.isArray(data) ? data : (data as { templates?: unknown } | null)?.templates;
  if (!Array.isArray(list)) return undefined;
  const ids = list.map((item: unknown) => (typeof item === 'string' ? item : (item as { id?: unknown } | null)?.id));
  return ids.filter(isTemplateId).toSorted((a, b) => (a < b ? -1 : 1));
}
