import type { RosterRow } from '../../ports/roster.ts';

/**
 * From when on a message that waits for an agent at rest starts it, epoch milliseconds; undefined for one that no message
 * starts.
 *
 * Who was stopped stays so for what had come by then. One that has completed may have left while a message was on its way:
 * what came since the start of its last life, and was not taken, is for the next one. So a message starts an agent once.
 */
export function wakesFromMs({ decision, process }: RosterRow): number | undefined {
  const { phase, input, wake_on_message, transitions, at_ms } = decision;
  if (!(input.wake_on_message ?? wake_on_message ?? false)) return undefined;
  if (phase.kind !== 'stopped' && phase.kind !== 'completed') return undefined;
  const end = process?.last_exit;
  if (phase.kind === 'completed' && end?.generation === decision.generation) return Date.parse(end.at) - end.ran_ms;
  return transitions.findLast(({ state }) => state === phase.kind)?.at_ms ?? at_ms;
}
