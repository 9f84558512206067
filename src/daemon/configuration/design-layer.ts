import type { Logger } from 'pino';
import { FolderTemplates } from '../../adapters/templates/folder-templates.ts';
import { HttpTemplates } from '../../adapters/templates/http-templates.ts';
import type { DesignLayerSettings } from '../../config/config.ts';
import type { TemplateSource } from '../../ports/template-source.ts';

export interface DesignLayerOptions {
  /** For copies of templates that come from a service. */
  cacheFolder: string;
  log: Logger;
}

/** The Agent Design Layer that the configuration names: where templates come from. */
export class DesignLayer {
  private readonly options: DesignLayerOptions;
  private readonly made = new Map<string, TemplateSource>();
  private current: DesignLayerSettings;

  constructor(settings: DesignLayerSettings, options: DesignLayerOptions) {
    this.current = settings;
    this.options = options;
  }

  get source(): TemplateSource {
    return this.sourceOf(this.current);
  }

  /** The folder or URL. */
  get location(): string {
    return this.current.kind === 'folder' ? this.current.path : this.current.url;
  }

  use(settings: DesignLayerSettings): void {
    this.current = settings;
  }

  /** One source for one place, so that what it has learned is kept. */
  sourceOf(settings: DesignLayerSettings): TemplateSource {
    const name = JSON.stringify(settings);
    const known = this.made.get(name);
    if (known !== undefined) return known;
    const source = settings.kind === 'folder' ? new FolderTemplates(settings.path) : this.service(settings);
    this.made.set(name, source);
    return source;
  }

  private service({ url, token }: { url: string; token: string | null }): TemplateSource {
    const { cacheFolder, log } = this.options;
    return new HttpTemplates({
      url,
      token,
      cacheFolder,
      onChange: (reachable, why) =>
        reachable ? log.info({ url }, why) : log.warn({ url, why }, 'the Agent Design Layer is away; copies are used'),
      onTrouble: (message, error) => log.warn({ err: error }, message),
    });
  }
}
