import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * A cable between the daemon and Temporal, to be cut.
 * - `cut`: connections break and new ones are refused after they were made, as by a server that has gone
 * - `stall`: connections stay open and nothing comes through, as by a network that has gone
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<[Socket, Socket]>();
  #state: 'open' | 'cut' | 'stalled' = 'open';

  private constructor(address: string) {
    const [host = '', port] = address.split(':');
    this.#target = { host, port: Number(port) };
    this.#server = createServer((near) => this.#join(near));
  }

  static async to(address: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(address);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#state = 'cut';
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  stall(): void {
    this.#state = 'stalled';
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  mend(): void {
    this.#state = 'open';
    // What was held back for long belongs to calls that nobody waits for any more, but it comes, as on a real cable.
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  async end(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  #join(near: Socket): void {
    if (this.#state === 'cut') return void near.destroy();
    const far = connect(this.#target);
    const pair: [Socket, Socket] = [near, far];
    this.#pairs.add(pair);
    const part = (): void => {
      near.destroy();
      far.destroy();
      this.#pairs.delete(pair);
    };
    for (const [from, to] of [pair, [far, near] as const]) {
      from.on('data', (chunk: Buffer) => to.write(chunk));
      from.on('error', part).on('close', part);
    }
    if (this.#state === 'stalled') for (const socket of pair) socket.pause();
  }
}
