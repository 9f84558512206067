/** Where templates come from: the Agent Design Layer. */
export interface TemplateSource {
  /**
   * The text of a template as it stands now, parsed from YAML or JSON but not validated.
   * @throws CodedError TEMPLATE_NOT_FOUND, naming the template and where it was looked for
   * @throws CodedError TEMPLATE_INVALID if it cannot be parsed or is too large
   */
  load(templateId: string): Promise<TemplateText>;
  list(): Promise<string[]>;
}

export interface TemplateText {
  id: string;
  /** For messages: the file or URL. */
  location: string;
  /** Digest of the content. */
  version: string;
  data: unknown;
}
