import type { Logger } from 'pino';
import { FolderTemplates } from '../adapters/folder-templates.ts';
import type { LoadedConfig } from '../config/config.ts';
import type { TemplateSource } from '../ports/template-source.ts';

type Settings = LoadedConfig['designLayer'];

/** The Agent Design Layer that the configuration names: where templates come from. */
export class DesignLayer {
  private readonly made = new Map<string, TemplateSource>();
  private current: Settings;

  constructor(settings: Settings, _options: { cacheFolder: string; log: Logger }) {
    this.current = settings;
  }

  get source(): TemplateSource {
    return this.sourceOf(this.current);
  }

  use(settings: Settings): void {
    this.current = settings;
  }

  /** One source for one place, so that what it has learned is kept. */
  sourceOf(settings: Settings): TemplateSource {
    const name = settings.path;
    const known = this.made.get(name);
    if (known !== undefined) return known;
    const source = new FolderTemplates(settings.path);
    this.made.set(name, source);
    return source;
  }
}
