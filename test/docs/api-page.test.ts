import { expect, it } from 'vitest';
import { OPERATIONS } from '../../src/api/operations.ts';
import { page } from './pages.ts';

/** `POST /agents/:agent_id/stop` and `POST /agents::stop`, as fastify has them, in the words of the page. */
const asWritten = (route: string): string =>
  route
    .replaceAll('::', '\0')
    .replaceAll(/:(\w+)/g, '{$1}')
    .replaceAll('\0', ':');

it('docs/api.md has a row for each route, and no other', () => {
  const rows = [...page('docs/api.md').text.matchAll(/^\| `([A-Z]+ \/[^`]*)` \|/gm)].map(
    ([, route]) => route as string,
  );
  expect(rows.toSorted()).toEqual(Object.keys(OPERATIONS).map(asWritten).toSorted());
});
