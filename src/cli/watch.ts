import { setTimeout as pause } from 'node:timers/promises';
import type { AgentView } from '../contract/agent-view.ts';
import type { DaemonClient, Query } from './daemon-client.ts';
import { followEvents } from './events.ts';
import { agentTable } from './output.ts';

/** Changes in quick succession are one picture. */
const SETTLE_MS = 100;
/** How often the screen is redrawn when nothing happens: uptimes grow. */
const REDRAW_MS = 5000;
const LOOK_AGAIN_MS = 1000;
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

/** Shows the list and keeps it current, until Ctrl-C: on a terminal in place, else (or as JSON) one list after the other. */
export async function watchAgents(daemon: DaemonClient, query: Query, json: boolean): Promise<void> {
  const show = pictures(json);
  const draw = async (): Promise<void> => {
    const answer = await daemon.json<{ agents: AgentView[] }>('GET', '/agents', { query });
    show(answer, () => agentTable(answer.agents));
  };
  const events = followEvents(daemon);
  let timer: NodeJS.Timeout | undefined;
  let failed: (error: unknown) => void = () => undefined;
  const failure = new Promise<never>((_resolve, reject) => (failed = reject));
  const soon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      draw().catch(failed);
    }, SETTLE_MS);
  };
  const redraw = isInPlace(json) ? setInterval(soon, REDRAW_MS) : undefined;
  const follow = async (): Promise<void> => {
    const first = events.next();
    first.catch(() => undefined); // reported below, unless the list says the same before
    await draw();
    for (let next = await first; next.done !== true; next = await events.next()) soon();
  };
  try {
    await Promise.race([follow(), failure]);
  } finally {
    clearTimeout(timer);
    clearInterval(redraw);
  }
}

/** The same for what reports no changes: it is read every second. */
export async function watching<T>(json: boolean, look: () => Promise<T>, human: (answer: T) => string): Promise<never> {
  const show = pictures(json);
  for (;;) {
    const answer = await look();
    show(answer, () => human(answer));
    await pause(LOOK_AGAIN_MS);
  }
}

const isInPlace = (json: boolean): boolean => process.stdout.isTTY === true && !json;

/** @returns what shows the next one, if it is another */
function pictures(json: boolean): (answer: unknown, human: () => string) => void {
  const inPlace = isInPlace(json);
  let last = '';
  if (inPlace) process.stdout.write('\u001b[2J');
  return (answer, human) => {
    const text = json ? JSON.stringify(answer) : human();
    if (inPlace) return void process.stdout.write(`${HOME_AND_CLEAR}${text}\n`);
    if (text !== last) process.stdout.write(`${text}\n${json ? '' : '\n'}`);
    last = text;
  };
}
