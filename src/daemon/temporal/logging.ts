import { makeTelemetryFilterString, type RuntimeOptions } from '@temporalio/worker';
import type { Logger } from 'pino';

/** While a server is away every poller complains several times a second: the same sentence counts once in this time. */
const QUIET_MS = 30_000;
const MAX_REMEMBERED = 200;

type Meta = Record<string, unknown>;

/** The SDK's log, in the daemon's own and with repetitions left out. */
export function temporalLogging(log: Logger): Pick<RuntimeOptions, 'logger' | 'telemetryOptions'> {
  const child = log.child({ part: 'temporal-sdk' });
  const said = new Map<string, number>();
  const write = (level: 'trace' | 'debug' | 'info' | 'warn' | 'error', message: string, meta?: Meta): void => {
    const now = Date.now();
    if (now - (said.get(message) ?? 0) < QUIET_MS) return;
    if (said.size > MAX_REMEMBERED) said.clear();
    said.set(message, now);
    const { error, ...rest } = meta ?? {};
    child[level]({ ...plain(rest), ...(error === undefined ? {} : { err: error }) }, message);
  };
  return {
    logger: {
      log: (level, message, meta) => write(level.toLowerCase() as 'info', message, meta),
      trace: (message, meta) => write('trace', message, meta),
      debug: (message, meta) => write('debug', message, meta),
      info: (message, meta) => write('info', message, meta),
      warn: (message, meta) => write('warn', message, meta),
      error: (message, meta) => write('error', message, meta),
    },
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} } },
  };
}

/** Some values in the SDK's meta data are BigInts and symbols, which JSON does not have. */
function plain(meta: Meta): Meta {
  return Object.fromEntries(
    Object.entries(meta).flatMap(([name, value]) =>
      ['string', 'number', 'boolean'].includes(typeof value) ? [[name, value]] : [],
    ),
  );
}
