import { type AgentInput, UNSIGNED_FIELDS } from '../contract/agent-input.ts';
import { CodedError } from '../contract/errors.ts';
import { canonicalJson } from './canonical-json.ts';
import { isMacOf, macOf } from './mac.ts';

/** The input with a signature over all its other fields; one that is there is replaced. */
export function signInput(input: AgentInput, key: Uint8Array): AgentInput {
  return { ...input, signature: macOf('agent-input/v1', signedText(input), key) };
}

/**
 * May this input be acted upon?
 *
 * @throws CodedError UNSIGNED_FIELD for an input without signature that carries more than `UNSIGNED_FIELDS`
 * @throws CodedError BAD_SIGNATURE
 */
export function verifyInput(input: AgentInput, key: Uint8Array): 'signed' | 'unsigned-allowed' {
  const { signature } = input;
  if (signature === undefined) {
    const field = Object.entries(input).find(([name, value]) => value !== undefined && !isUnsigned(name))?.[0];
    if (field === undefined) return 'unsigned-allowed';
    const allowed = UNSIGNED_FIELDS.join(', ');
    throw new CodedError(
      'UNSIGNED_FIELD',
      `Field "${field}" needs a signature; without one only these count: ${allowed}`,
      {
        field,
      },
    );
  }
  if (typeof signature === 'string' && isMacOf(signature, 'agent-input/v1', signedText(input), key)) return 'signed';
  throw new CodedError('BAD_SIGNATURE', `The signature of agent "${input.agent_id}" does not match its fields`, {
    agent_id: input.agent_id,
  });
}

const isUnsigned = (name: string): boolean => (UNSIGNED_FIELDS as readonly string[]).includes(name);

function signedText(input: AgentInput): string {
  return canonicalJson({ ...input, signature: undefined });
}
