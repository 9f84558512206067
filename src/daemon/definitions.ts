import type { AgentInput } from '../contract/agent-input.ts';
import type { Definition } from '../contract/definition.ts';
import { CodedError } from '../contract/errors.ts';
import type { RestartPolicy } from '../domain/restart-policy.ts';
import type { StopPolicy } from '../domain/stop-policy.ts';
import type { TemplateSource } from '../ports/template-source.ts';
import { parseAgentInput } from '../schema/agent-input.ts';
import { defineAgent } from '../schema/define-agent.ts';
import { verifyInput } from '../trust/signature.ts';

export interface DefinitionsOptions {
  templates: TemplateSource | null;
  faultDomains: Record<string, RestartPolicy>;
  defaults: { stop: StopPolicy };
  baseDir: string;
  key: Uint8Array;
  /** Refuse every input that carries no signature. */
  requireSigned: boolean;
}

/** The one place where an input becomes a definition. Everything that reaches a spawn has gone through `trusted`. */
export class Definitions {
  private readonly options: DefinitionsOptions;

  constructor(options: DefinitionsOptions) {
    this.options = options;
  }

  /** For an input that came through Temporal: it may have been written by anyone who reaches its port. */
  async trusted(given: AgentInput): Promise<Definition> {
    const input = parseAgentInput(given);
    this.verify(input);
    return this.admit(input);
  }

  /** For an input whose writer has been authenticated. */
  async admit(input: AgentInput): Promise<Definition> {
    const { templates, faultDomains, defaults, baseDir } = this.options;
    return defineAgent({ input, template: await this.template(input, templates), faultDomains, defaults, baseDir });
  }

  verify(input: AgentInput): void {
    const trust = verifyInput(input, this.options.key);
    if (trust === 'unsigned-allowed' && this.options.requireSigned) {
      const message = `Agent ${input.agent_id} is not signed, and temporal.require_signed is on`;
      throw new CodedError('UNSIGNED_FIELD', message, { agent_id: input.agent_id });
    }
  }

  private async template(input: AgentInput, templates: TemplateSource | null) {
    if (input.template_id === undefined) return null;
    if (templates === null) {
      const message = `Template ${input.template_id} of agent ${input.agent_id} cannot be found: the configuration names no design_layer`;
      throw new CodedError('TEMPLATE_NOT_FOUND', message, { template_id: input.template_id });
    }
    return templates.load(input.template_id);
  }
}
