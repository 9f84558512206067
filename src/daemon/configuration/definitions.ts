import type { AgentInput } from '../../contract/agent-input.ts';
import type { Definition } from '../../contract/definition.ts';
import { CodedError } from '../../contract/errors.ts';
import type { RestartPolicy } from '../../domain/restart-policy.ts';
import type { StopPolicy } from '../../domain/stop-policy.ts';
import type { TemplateSource } from '../../ports/template-source.ts';
import { parseAgentInput } from '../../schema/agent-input.ts';
import { defineAgent } from '../../schema/define-agent.ts';
import { verifyInput } from '../../trust/signature.ts';

/** What the definition of an agent follows from, besides its input: the daemon's configuration. */
export interface DefinitionSettings {
  templates: TemplateSource;
  faultDomains: Record<string, RestartPolicy>;
  defaults: { stop: StopPolicy };
  baseDir: string;
  /** Refuse every input that carries no signature. */
  requireSigned: boolean;
}

/** The one place where an input becomes a definition. Everything that reaches a spawn has gone through `trusted`. */
export class Definitions {
  private readonly key: Uint8Array;
  private settings: DefinitionSettings;

  constructor(key: Uint8Array, settings: DefinitionSettings) {
    this.key = key;
    this.settings = settings;
  }

  /** From now on these settings count: for the next admission of each agent. */
  use(settings: DefinitionSettings): void {
    this.settings = settings;
  }

  /** For an input that came through Temporal: it may have been written by anyone who reaches its port. */
  async trusted(given: AgentInput): Promise<Definition> {
    return this.admit(this.checked(given));
  }

  /** The same, short of its template: shape and signature. */
  checked(given: AgentInput): AgentInput {
    const input = parseAgentInput(given);
    this.verify(input);
    return input;
  }

  /** For an input whose writer has been authenticated. */
  async admit(input: AgentInput): Promise<Definition> {
    const { templates, faultDomains, defaults, baseDir } = this.settings;
    const template = input.template_id === undefined ? null : await templates.load(input.template_id);
    return defineAgent({ input, template, faultDomains, defaults, baseDir });
  }

  verify(input: AgentInput): void {
    const trust = verifyInput(input, this.key);
    if (trust === 'unsigned-allowed' && this.settings.requireSigned) {
      const message = `Agent ${input.agent_id} is not signed, and temporal.require_signed is on`;
      throw new CodedError('UNSIGNED_FIELD', message, { agent_id: input.agent_id });
    }
  }
}
