import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { CodedError } from '../contract/errors.ts';

const HOST = '127.0.0.1';

/**
 * Where free ports are looked for: below those that systems lend to outgoing connections (Linux 32768-60999, macOS and IANA
 * 49152-65535). A port of those can be lent away between being found and being listened on, or while a server restarts.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const TRIES = 50;

/** @throws CodedError PORT_IN_USE, naming the port and what it was wanted for */
export async function assertPortFree(port: number, purpose: string): Promise<void> {
  await release(await listen(port, purpose));
}

/**
 * The ports to use: a configured one if it is free, and any free one for 0. All are looked up at once, so that none comes
 * twice.
 *
 * @param wanted purpose → port
 * @throws CodedError PORT_IN_USE
 */
export async function choosePorts<Purpose extends string>(
  wanted: Record<Purpose, number>,
): Promise<Record<Purpose, number>> {
  const held: Array<[Purpose, Server]> = [];
  try {
    for (const [purpose, port] of Object.entries(wanted) as Array<[Purpose, number]>)
      held.push([purpose, port === 0 ? await listenAnywhere(purpose) : await listen(port, purpose)]);
    return Object.fromEntries(held.map(([purpose, server]) => [purpose, portOf(server)])) as Record<Purpose, number>;
  } finally {
    await Promise.all(held.map(([, server]) => release(server)));
  }
}

async function listenAnywhere(purpose: string): Promise<Server> {
  for (let tried = 0; tried < TRIES; tried++) {
    const server = await listen(randomInt(FIRST_PORT, LAST_PORT), purpose).catch(() => undefined);
    if (server !== undefined) return server;
  }
  return listen(0, purpose);
}

function listen(port: number, purpose: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be used (${error.code})`;
      reject(new CodedError('PORT_IN_USE', `Port ${port} for ${purpose} ${why}`, { port, purpose }, error));
    });
    server.listen({ port, host: HOST, exclusive: true }, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
