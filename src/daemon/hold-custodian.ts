import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isAlive } from './process-mark.ts';
import { connectOrStart, CustodianError, type CustodianClient } from '../host/custodian-client.ts';

const CUSTODIAN_ENTRY = fileURLToPath(new URL('../custodian.mjs', import.meta.url));
const POLL_MS = 50;

/**
 * Holds the custodian of a state directory as its one daemon; starts it where there is none. A holder whose process is
 * over is waited for: on a busy machine its end may be seen here before the custodian has noticed it.
 * @param deadlineMs for such a holder. @default 10 s
 * @throws CustodianError DAEMON_RUNNING if another daemon lives
 */
export async function holdCustodian(stateDir: string, version: string, deadlineMs = 10_000): Promise<CustodianClient> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    try {
      return await connectOrStart(stateDir, CUSTODIAN_ENTRY, { role: 'daemon', version });
    } catch (error) {
      const isPassing =
        error instanceof CustodianError &&
        error.code === 'DAEMON_RUNNING' &&
        error.pid !== undefined &&
        !isAlive(error.pid);
      if (!isPassing || performance.now() > until) throw error;
      await delay(POLL_MS);
    }
  }
}
