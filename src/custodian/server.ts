import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createLineSplitter } from '../domain/lines.ts';
import { ensureSocketFolder } from './address.ts';
import type { EmitEvent } from './context.ts';
import { errnoOf, messageOf } from './logger.ts';
import type { Logger } from './logger.ts';
import { isMethod } from './params.ts';
import type { Method } from './params.ts';
import type { CustodianErrorBody } from './protocol.ts';
import { Refusal } from './refusal.ts';
import type { Peer } from './requests.ts';

export interface Server {
  emit: EmitEvent;
  daemon(): Peer | undefined;
  /** Listens, or listens again if the socket file is gone: a logout removes $XDG_RUNTIME_DIR with all that is in it. */
  listen(path: string): Promise<void>;
  isListening(): boolean;
  close(): void;
}

const LINE_LIMIT = 4 * 1024 * 1024;
const HELLO_WITHIN_MS = 10_000;
/** From here on a connection is not read any more until its reader has taken some of the answers. */
const PAUSE_AT_BYTES = 1024 * 1024;
/** A reader that is this far behind is cut off; when it comes back, it asks for the list. */
const DROP_AT_BYTES = 32 * 1024 * 1024;

type Answer = (method: Method, params: unknown, peer: Peer) => Promise<unknown>;

export function createSocketServer(answer: Answer, onGone: (peer: Peer) => void, log: Logger): Server {
  const peers = new Map<Socket, Peer>();
  let server = createServer();
  let inode: { path: string; ino: number } | undefined;

  const send = (socket: Socket, message: unknown) => {
    if (!socket.writable) return;
    socket.write(`${JSON.stringify(message)}\n`);
    if (socket.writableLength > DROP_AT_BYTES) {
      log.warn('Dropped a connection that does not read', { pid: peers.get(socket)?.hello?.pid });
      socket.destroy();
    } else if (socket.writableLength > PAUSE_AT_BYTES) socket.pause();
  };

  const handle = async (socket: Socket, peer: Peer, line: string) => {
    let id: unknown = null;
    try {
      const message = parse(line);
      id = message.id ?? null;
      if (!isMethod(message.method))
        throw new Refusal('BAD_REQUEST', `The method ${JSON.stringify(message.method)} is not known`);
      send(socket, { id, result: await answer(message.method, message.params, peer) });
    } catch (error) {
      send(socket, { id, error: errorBody(error, log) });
    }
  };

  const accept = (socket: Socket) => {
    const peer: Peer = {};
    peers.set(socket, peer);
    const lines = createLineSplitter(LINE_LIMIT);
    const helloTimer = setTimeout(() => {
      if (!peer.hello) socket.destroy();
    }, HELLO_WITHIN_MS);
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      for (const line of lines.push(piece)) if (line.trim() !== '') void handle(socket, peer, line);
      if (!lines.overflowed) return;
      const body: CustodianErrorBody = {
        code: 'BAD_REQUEST',
        message: `A line may have at most ${LINE_LIMIT} characters`,
      };
      socket.removeAllListeners('data');
      socket.end(`${JSON.stringify({ id: null, error: body })}\n`, () => socket.destroy());
    });
    socket.on('drain', () => socket.resume());
    socket.on('error', (error) => log.info('A connection broke', { pid: peer.hello?.pid, errno: errnoOf(error) }));
    socket.on('close', () => {
      clearTimeout(helloTimer);
      peers.delete(socket);
      if (!peer.hello) return;
      log.info('Disconnected', { role: peer.hello.role, pid: peer.hello.pid });
      onGone(peer);
    });
  };

  return {
    emit(event, data) {
      for (const [socket, peer] of peers) if (peer.hello) send(socket, { event, data });
    },
    daemon: () => [...peers.values()].find((peer) => peer.hello?.role === 'daemon'),
    listen(path) {
      ensureSocketFolder(path);
      removeStale(path);
      server.close();
      server = createServer(accept);
      return new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, () => {
          server.on('error', (error) => log.error('The socket broke', { error: messageOf(error) }));
          // The folder lets nobody else in; this is the second lock on the same door.
          chmodSync(path, 0o600);
          inode = { path, ino: lstatSync(path).ino };
          resolve();
        });
      });
    },
    isListening() {
      try {
        return inode !== undefined && lstatSync(inode.path).ino === inode.ino;
      } catch {
        return false;
      }
    },
    close() {
      server.close();
      for (const socket of peers.keys()) socket.end();
    },
  };
}

function parse(line: string): { id?: unknown; method?: unknown; params?: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Refusal('BAD_REQUEST', 'The line is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new Refusal('BAD_REQUEST', 'A request is an object');
  return value;
}

function errorBody(error: unknown, log: Logger): CustodianErrorBody {
  if (error instanceof Refusal) return error.body;
  const errno = errnoOf(error);
  log.error('A request failed', { error: error instanceof Error ? error.stack : String(error) });
  return {
    code: 'RESOURCE_EXHAUSTED',
    message: `The custodian failed: ${messageOf(error)}`,
    ...(errno ? { errno } : {}),
  };
}

/** Only the holder of the lock comes here, so whatever socket is in the way was left by a dead one. */
function removeStale(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // not there
  }
}
