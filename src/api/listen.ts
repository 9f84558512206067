import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { CodedError } from '../contract/errors.ts';

export interface ListenOptions {
  /** 0: any free one. */
  port: number;
  /** For messages: which of `ports` in the configuration it is. */
  name: string;
}

export interface Listening {
  port: number;
  /** Such as `127.0.0.1:5050` and `[::1]:5050`. */
  addresses: string[];
  /** Stops listening, lets requests under way answer, closes all connections. */
  close(): Promise<void>;
}

/** How often another free port is tried if only one of the two addresses has it. */
const TRIES = 10;

/**
 * Listens on the loopback addresses of both IP versions with one port: `localhost` means either, by the client's choice.
 * @throws CodedError PORT_IN_USE
 */
export async function listen(app: FastifyInstance, { port, name }: ListenOptions): Promise<Listening> {
  await app.ready();
  for (let attempt = 1; ; attempt += 1) {
    // The second address first: unlike fastify's own server, this one can be taken back.
    const second = await listenV6(app, port, name);
    const chosen = second === undefined ? port : (second.address() as AddressInfo).port;
    try {
      await app.listen({
        host: '127.0.0.1',
        port: chosen,
        listenTextResolver: (address) => `${name} port: ${address}`,
      });
    } catch (error) {
      second?.close();
      if (port === 0 && attempt < TRIES && codeOfSystem(error) === 'EADDRINUSE') continue;
      throw portError(error, chosen, name);
    }
    const own = (app.server.address() as AddressInfo).port;
    const addresses = [`127.0.0.1:${own}`, ...(second === undefined ? [] : [`[::1]:${own}`])];
    return { port: own, addresses, close: () => closeBoth(app, second) };
  }
}

/** @returns undefined where there is no IPv6 */
async function listenV6(app: FastifyInstance, port: number, name: string): Promise<Server | undefined> {
  const server = createServer((request, response) => app.routing(request, response));
  const { headersTimeout, requestTimeout, keepAliveTimeout } = app.server;
  Object.assign(server, { headersTimeout, requestTimeout, keepAliveTimeout });
  for (const handle of app.server.listeners('clientError')) server.on('clientError', handle as () => void);
  try {
    server.listen({ host: '::1', port, ipv6Only: true });
    await once(server, 'listening');
    return server;
  } catch (error) {
    const code = codeOfSystem(error);
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL') return undefined;
    throw portError(error, port, name);
  }
}

async function closeBoth(app: FastifyInstance, second: Server | undefined): Promise<void> {
  const secondClosed = second && new Promise<void>((resolve) => second.close(() => resolve()));
  await app.close(); // answers what is under way, on both
  second?.closeAllConnections();
  await secondClosed;
}

function portError(error: unknown, port: number, name: string): unknown {
  const code = codeOfSystem(error);
  if (code === 'EADDRINUSE')
    return new CodedError(
      'PORT_IN_USE',
      `The ${name} port ${port} is in use by another program`,
      { port, name },
      error,
    );
  if (code === 'EACCES')
    return new CodedError('PORT_IN_USE', `The ${name} port ${port} may only be used by root`, { port, name }, error);
  return error;
}

const codeOfSystem = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code;
