import type { DaemonClient } from './daemon-client.ts';

export interface ServerEvent {
  id: string | undefined;
  event: string;
  data: unknown;
}

/** `GET /events`, until the daemon goes or the reader has seen enough. */
export async function* followEvents(daemon: DaemonClient): AsyncGenerator<ServerEvent> {
  let rest = '';
  for await (const text of daemon.text('/events', {}, 'text/event-stream')) {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== undefined) yield event;
    }
  }
}

/** @returns undefined for comments */
function eventOf(block: string): ServerEvent | undefined {
  const fields = new Map(
    block.split('\n').flatMap((line) => {
      const at = line.indexOf(': ');
      return at < 1 ? [] : [[line.slice(0, at), line.slice(at + 2)] as const];
    }),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { id: fields.get('id'), event: fields.get('event') ?? 'message', data: JSON.parse(data) as unknown };
}
