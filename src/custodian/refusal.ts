import { isPassing } from '../domain/passing-faults.ts';
import type { CustodianErrorBody, CustodianErrorCode } from './protocol.ts';

/** A request that is answered with an error. Thrown inside the custodian only; on the wire it is its body. */
export class Refusal extends Error {
  readonly body: CustodianErrorBody;

  constructor(code: CustodianErrorCode, message: string, more: Omit<CustodianErrorBody, 'code' | 'message'> = {}) {
    super(message);
    this.name = 'Refusal';
    this.body = { code, message, ...more };
  }
}

/** The refusal for a spawn that failed with this system error. */
export function spawnRefusal(errno: string, message: string): Refusal {
  return new Refusal(isPassing(errno) ? 'RESOURCE_EXHAUSTED' : 'SPAWN_FAILED', message, { errno });
}
