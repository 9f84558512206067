import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** A small Agent Design Layer over HTTP. It can be ended and come back on the same port. */
export class DesignService {
  readonly templates = new Map<string, string>();
  /** Every request that came: method, path and headers. */
  readonly requests: { path: string; headers: IncomingMessage['headers'] }[] = [];
  /** Answers instead of the templates, when set. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  token: string | undefined;
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.server = createServer((request, response) => this.handle(request, response));
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.server = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.requests.push({ path, headers: request.headers });
    if (this.answer) return this.answer(request, response);
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`)
      return void response.writeHead(401).end();
    if (path === '/templates') {
      const list = [...this.templates.keys()].map((id) => ({ id }));
      return void response.setHeader('content-type', 'application/json').end(JSON.stringify({ templates: list }));
    }
    const content = this.templates.get(decodeURIComponent(path.replace('/templates/', '')));
    if (content === undefined) return void response.writeHead(404).end();
    const etag = `"${createHash('sha256').update(content).digest('hex').slice(0, 16)}"`;
    response.setHeader('etag', etag);
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304).end();
    response.setHeader('content-type', content.startsWith('{') ? 'application/json' : 'application/yaml');
    response.end(content);
  }
}
