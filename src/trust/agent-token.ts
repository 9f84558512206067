import { isAgentId } from '../domain/ids.ts';
import { isMacOf, macOf } from './mac.ts';

const AGENT_TOKEN_PREFIX = 'osa_';

/** What the token of an agent says of its bearer. It is worth something only while that generation is the live one. */
export interface AgentClaims {
  agent_id: string;
  generation: number;
  /** Templates from which the agent may start agents. */
  may: { start: string[] };
}

/** `osa_<claims>.<mac>`, both base64url: readable by whoever holds it, made only by whoever has the key. */
export function issueAgentToken(claims: AgentClaims, key: Uint8Array): string {
  const text = JSON.stringify({ a: claims.agent_id, g: claims.generation, m: claims.may.start });
  const body = Buffer.from(text).toString('base64url');
  return `${AGENT_TOKEN_PREFIX}${body}.${macOf('agent-token/v1', body, key)}`;
}

/** The claims of a token that was issued under this key; undefined for anything else. */
export function readAgentToken(token: string, key: Uint8Array): AgentClaims | undefined {
  if (!token.startsWith(AGENT_TOKEN_PREFIX)) return undefined;
  const [body, mac, ...rest] = token.slice(AGENT_TOKEN_PREFIX.length).split('.');
  if (body === undefined || mac === undefined || rest.length > 0) return undefined;
  if (!isMacOf(mac, 'agent-token/v1', body, key)) return undefined;
  return claimsOf(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')));
}

/** Authentic, hence made by us; an older version of us may have written other fields. */
function claimsOf(value: { a?: unknown; g?: unknown; m?: unknown } | null): AgentClaims | undefined {
  const { a: agentId, g: generation, m: start } = value ?? {};
  if (!isAgentId(agentId) || !Number.isSafeInteger(generation)) return undefined;
  if (!Array.isArray(start) || !start.every((id): id is string => typeof id === 'string')) return undefined;
  return { agent_id: agentId, generation: generation as number, may: { start } };
}
