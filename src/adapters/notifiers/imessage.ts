import { NotifierFailure, type Notifier } from '../../ports/notifier.ts';
import { run } from './command.ts';

const TIMEOUT_MS = 20_000;

/** What is sent, and to whom, are arguments: nothing of them is a part of the script. */
const SCRIPT = `on run argv
  tell application "Messages"
    set theAccount to 1st account whose service type = iMessage
    send (item 2 of argv) to participant (item 1 of argv) of theAccount
  end tell
end run`;

export interface ImessageOptions {
  name: string;
  /** A phone number or an address. */
  to: string;
  /** @default process.platform */
  platform?: NodeJS.Platform | undefined;
  /** Test seam. @default osascript */
  program?: string | undefined;
}

/** iMessage, by the Messages of the macOS on which the daemon runs. Elsewhere it fails for good: the next channel is taken. */
export function imessageNotifier(options: ImessageOptions): Notifier {
  const { name, to, platform = process.platform, program = 'osascript' } = options;
  return {
    name,
    async send({ title, text }, signal) {
      if (platform !== 'darwin') {
        throw new NotifierFailure(`iMessage needs macOS, and this is ${platform}`, { retryable: false });
      }
      const message = `${title}\n${text}`.replaceAll('\0', '');
      await run([program, '-e', SCRIPT, to, message], '', { timeoutMs: TIMEOUT_MS, signal });
    },
  };
}
