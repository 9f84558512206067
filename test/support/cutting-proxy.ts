import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Stands between an agent and the daemon, on loopback, and loses answers. */
export interface CuttingProxy {
  url: string;
  /** Queries of the receives that went through, and whether their answer was lost. */
  receives: { query: URLSearchParams; messages: number; isCut: boolean }[];
  /** How leases were extended: the path, and what was said. */
  extends: { path: string; body: Record<string, unknown> }[];
  /** So many answers to receives that bring something are lost: the daemon has given them, nobody gets them. */
  cutNext(count: number): void;
  close(): Promise<void>;
}

export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const receives: CuttingProxy['receives'] = [];
  const extensions: CuttingProxy['extends'] = [];
  let left = 0;

  const server = createServer((incoming, outgoing) => {
    const { method, url = '', headers } = incoming;
    const onward = request({ hostname, port, method, path: url, headers: { ...headers, host: `${hostname}:${port}` } });
    outgoing.on('close', () => onward.destroy());
    onward.on('error', () => outgoing.destroy());
    onward.on('response', (answer) => {
      void textOf(answer).then(
        (text) => {
          const messages = method === 'GET' && /\/messages\?/.test(url) ? countOf(text) : undefined;
          const isCut = left > 0 && messages !== undefined && messages > 0;
          if (messages !== undefined) receives.push({ query: new URL(url, target).searchParams, messages, isCut });
          if (isCut) {
            left -= 1;
            incoming.socket.destroy();
            return;
          }
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(text);
        },
        () => outgoing.destroy(),
      );
    });
    if (url.endsWith('/extend'))
      void textOf(incoming).then(
        (text) => extensions.push({ path: url, body: JSON.parse(text) as Record<string, unknown> }),
        () => undefined,
      );
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    receives,
    extends: extensions,
    cutNext: (count) => void (left = count),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const countOf = (text: string): number => (JSON.parse(text) as { messages?: unknown[] }).messages?.length ?? 0;
