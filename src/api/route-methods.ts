/** Which methods a path has: so that a wrong one is told from a path that does not exist. */
export class RouteMethods {
  readonly #routes: { method: string; segments: string[] }[] = [];

  /** @param url as fastify has it: `:name` is a parameter, `::` a colon */
  add(method: string, url: string): void {
    this.#routes.push({ method, segments: url.split('/') });
  }

  /** Sorted; empty if there is no such path. */
  of(path: string): string[] {
    const given = path.split('/');
    const methods = this.#routes.filter(({ segments }) => matches(segments, given)).map(({ method }) => method);
    return [...new Set(methods)].toSorted();
  }
}

function matches(segments: string[], given: string[]): boolean {
  if (segments.length !== given.length) return false;
  return segments.every((segment, n) =>
    segment.startsWith(':') && !segment.startsWith('::') ? given[n] !== '' : segment.replaceAll('::', ':') === given[n],
  );
}
