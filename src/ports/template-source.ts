/** Where templates come from: the Agent Design Layer. */
export interface TemplateSource {
  /**
   * The text of a template as it stands now, parsed from YAML or JSON but not validated.
   * @throws CodedError TEMPLATE_NOT_FOUND, naming the template and where it was looked for
   * @throws CodedError TEMPLATE_INVALID if it cannot be parsed or is too large
   * @throws CodedError DESIGN_LAYER_UNAVAILABLE if it is out of reach for the moment, and nothing is known of it
   */
  load(templateId: string): Promise<TemplateText>;
  /** The ids of all, in order. @throws CodedError DESIGN_LAYER_UNAVAILABLE */
  list(): Promise<TemplateList>;
}

export interface TemplateText {
  id: string;
  /** For messages: the file or URL. */
  location: string;
  /** Digest of the content. */
  version: string;
  data: unknown;
  /** Why this is an earlier copy, as a sentence; absent for the original. */
  stale?: string;
}

export interface TemplateList {
  ids: string[];
  /** Why these are only those of which there is a copy; absent for the original. */
  stale?: string;
}
