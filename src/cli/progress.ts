/** On long work, what is being done and for how long: on the terminal of standard error, nowhere else. */
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 120;
/** Quick work needs no words. */
const AFTER_MS = 400;
const CLEAR_LINE = '\r\u001b[2K';

export interface Progress {
  update(text: string): void;
  end(): void;
}

export function progress(text: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (stream.isTTY !== true) return { update: () => undefined, end: () => undefined };
  const startedAt = performance.now();
  let shown = text;
  let frame = 0;
  const timer = setInterval(() => {
    const ms = performance.now() - startedAt;
    if (ms < AFTER_MS) return;
    frame += 1;
    const line = `${FRAMES[frame % FRAMES.length]} ${shown} (${Math.floor(ms / 1000)} s)`;
    stream.write(`${CLEAR_LINE}${line.slice(0, Math.max(20, (stream.columns ?? 80) - 1))}`);
  }, FRAME_MS);
  return {
    update(next) {
      shown = next;
    },
    end() {
      clearInterval(timer);
      if (frame > 0) stream.write(CLEAR_LINE);
      frame = 0;
    },
  };
}

/** Shows progress while `work` is under way. */
export async function during<T>(text: string, work: (progress: Progress) => Promise<T>): Promise<T> {
  const shown = progress(text);
  try {
    return await work(shown);
  } finally {
    shown.end();
  }
}
