/**
 * An agent id: 1 to 64 characters, a letter or digit first, then letters, digits, dot, underscore or hyphen.
 * It is part of workflow ids, file names, environment variables and metric labels, hence the narrow alphabet.
 */
export const AGENT_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export function isAgentId(value: unknown): value is string {
  return typeof value === 'string' && AGENT_ID_PATTERN.test(value);
}

/**
 * A file name for an agent id that stays unique on file systems that ignore case:
 * every upper-case letter `X` becomes `=x` (`=` cannot occur in an id).
 */
export function fileNameOf(agentId: string): string {
  return agentId.replace(/[A-Z]/g, (letter) => `=${letter.toLowerCase()}`);
}

/** The agent id that `fileNameOf` made that name of. */
export function agentIdOfFile(name: string): string {
  return name.replace(/=([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The daemon's own id, as a process in custody and as a sender. No agent can have it. */
export const DAEMON_ID = '_daemon';

/** One process life of an agent, as it is written in logs and in the marker variable of its environment. */
export function incarnationOf(agentId: string, generation: number): string {
  return `${agentId}/${generation}`;
}

/** A template id: like an agent id, up to 128 characters. It is a file name of the design layer. */
export const TEMPLATE_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function isTemplateId(value: unknown): value is string {
  return typeof value === 'string' && TEMPLATE_ID_PATTERN.test(value);
}
