import { DAEMON_ID } from '../domain/ids.ts';
import type { Custodian } from './custodian.ts';
import type { Keeper } from './keeper.ts';
import { checkParams } from './params.ts';
import type { Method } from './params.ts';
import { PROTOCOL } from './protocol.ts';
import type { HelloParams, HelloResult, Methods } from './protocol.ts';
import { Refusal } from './refusal.ts';

/** What a connection has said about itself. */
export interface Peer {
  hello?: HelloParams;
}

export interface RequestsOptions {
  custodian: Custodian;
  keeper: Keeper;
  about: Omit<HelloResult, 'protocol' | 'shutting_down'>;
  /** The daemon that holds the connection, if any. */
  daemon: () => Peer | undefined;
  /** Ends the custodian as soon as nothing lives. */
  end: () => void;
}

const READS: ReadonlySet<Method> = new Set(['hello', 'list', 'custody', 'orders', 'trees'] as const);

/** Answers one request, or throws: a `Refusal` for what is refused, anything else is a defect. */
export function createRequests({ custodian, keeper, about, daemon, end }: RequestsOptions) {
  type Handlers = { [M in Method]: (params: Methods[M][0], peer: Peer) => Methods[M][1] | Promise<Methods[M][1]> };
  const handlers: Handlers = {
    hello(params, peer) {
      if (params.protocol !== PROTOCOL) {
        const theirs = `This custodian speaks protocol ${PROTOCOL}, the other side ${params.protocol}`;
        throw new Refusal(
          'PROTOCOL_MISMATCH',
          `${theirs}: stop it with the version that started it (${about.version}), then start again`,
        );
      }
      const holder = daemon();
      if (params.role === 'daemon' && holder && holder !== peer) {
        const pid = holder.hello?.pid ?? 0;
        throw new Refusal(
          'DAEMON_RUNNING',
          `The daemon with pid ${pid} already holds the agents of ${about.state_dir}`,
          { pid },
        );
      }
      peer.hello = params;
      if (params.role === 'daemon') {
        custodian.shutdown.lift();
        // A daemon that is a child of ours is stopped like any other child.
        const isChild = custodian.incarnations.get(DAEMON_ID)?.pid === params.pid;
        // Somebody has started another one: two would be one too many.
        if (!isChild) keeper.keep(undefined);
        custodian.signaller.protectDaemon(isChild ? undefined : params.pid);
        if (!isChild) custodian.disown(params.pid);
      }
      return { ...about, protocol: PROTOCOL, shutting_down: custodian.shutdown.isActive };
    },
    list: () => ({ entries: custodian.list() }),
    custody: ({ agent }) => custodian.custody(agent),
    spawn: (params) => custodian.spawn(params),
    stop: (params) => custodian.stop(params),
    signal: ({ agent, generation, signal }) => custodian.signal(agent, generation, signal as NodeJS.Signals),
    pause: (params) => custodian.pause(params),
    resume: (params) => custodian.resume(params),
    trees: ({ agents }) => custodian.trees(agents),
    forget: ({ agent }) => custodian.forget(agent),
    order: ({ agent, verb, at }) => custodian.order(agent, verb, at),
    orders: () => custodian.orders(),
    order_done: ({ agent, at }) => custodian.orderDone(agent, at),
    settings: (params) => custodian.settings(params),
    async shutdown(params) {
      return { stopped: await custodian.shutdown.run(params) };
    },
    keep({ spawn }, peer) {
      const child = custodian.incarnations.get(DAEMON_ID);
      if (child === undefined || child.pid !== peer.hello?.pid) {
        throw new Refusal('NOT_ALLOWED', `Only the daemon that is a child of this custodian (${DAEMON_ID}) is kept`);
      }
      keeper.keep(spawn ?? undefined);
      return {};
    },
    end(_, peer) {
      const others = [...custodian.incarnations.values()].filter(
        (one) => !(one.agent === DAEMON_ID && one.pid === peer.hello?.pid),
      );
      if (others.length > 0) {
        throw new Refusal(
          'STILL_LIVE',
          `${others.length} processes live, such as ${others[0]?.agent}: shut down and stop them first`,
        );
      }
      keeper.close();
      end();
      return {};
    },
  };

  return async (method: Method, params: unknown, peer: Peer): Promise<unknown> => {
    if (peer.hello === undefined && method !== 'hello') throw new Refusal('NOT_ALLOWED', 'Say `hello` first');
    if (peer.hello?.role === 'observer' && !READS.has(method)) {
      throw new Refusal('NOT_ALLOWED', `An observer may not ask for \`${method}\`: connect with the role daemon`);
    }
    const handler = handlers[method] as (params: unknown, peer: Peer) => unknown;
    return await handler(checkParams(method, params), peer);
  };
}
