import type { Notice, Notifier } from '../../ports/notifier.ts';
import { post } from './http-post.ts';

const SIGN = { info: ':information_source:', warning: ':warning:', critical: ':rotating_light:' } as const;

/** An incoming webhook of Slack, or of what understands the same, such as Mattermost. Its URL is a secret. */
export function slackNotifier({ name, url }: { name: string; url: string }): Notifier {
  return {
    name,
    send: ({ severity, title, text }: Notice, signal) => {
      const body = { text: `${SIGN[severity]} *${escaped(title)}*\n${escaped(text)}` };
      return post({ url, body: JSON.stringify(body), headers: {} }, signal);
    },
  };
}

/** What an agent has said must be no link, and must call nobody by `<!channel>`. */
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
