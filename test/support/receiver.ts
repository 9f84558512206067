import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  body: string;
  /** What it was answered. */
  status: number;
}

/** Somebody who is told by HTTP. It keeps all that came; `taken` is what it has said yes to. */
export class Receiver {
  readonly received: Received[] = [];
  /** Statuses of the next answers; 200 when there are none left. */
  answers: number[] = [];
  /** Which requests these answers are for. */
  answersFor: (body: string) => boolean = () => true;
  /** Sent with every answer. */
  headers: Record<string, string> = {};
  /** While set, nobody is answered. */
  hangs = false;
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook/s3cret`;
  }

  get taken(): Received[] {
    return this.received.filter(({ status }) => status === 200);
  }

  async start(): Promise<this> {
    this.server = createServer((request, response) => void this.handle(request, response));
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  /** It comes back on the same port. */
  async stop(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const status = (this.answersFor(body) ? this.answers.shift() : undefined) ?? 200;
    this.received.push({ path: request.url ?? '', headers: request.headers, body, status });
    if (this.hangs) return;
    response.writeHead(status, this.headers).end(status === 200 ? 'ok' : 'no such thing');
  }
}
