import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TemplateSource } from '../../src/ports/template-source.ts';

export interface TemplateSourceFixture {
  source: TemplateSource;
  /** Makes this the text of the template, whatever it was. */
  put: (id: string, content: string) => Promise<void>;
  remove: (id: string) => Promise<void>;
  dispose: () => Promise<void>;
}

/** What every source of templates must do, wherever they are. */
export function templateSourceContract(name: string, make: () => Promise<TemplateSourceFixture>): void {
  describe(name, () => {
    let fixture: TemplateSourceFixture;
    let source: TemplateSource;
    beforeEach(async () => {
      fixture = await make();
      source = fixture.source;
    });
    afterEach(() => fixture.dispose());

    it('load gives the parsed text, where it is, and a digest of it', async () => {
      await fixture.put('T', '{"id": "T", "command": ["a", "1"]}');
      const text = await source.load('T');
      expect(text).toEqual({
        id: 'T',
        location: expect.stringContaining('T'),
        version: expect.stringMatching(/^[0-9a-f]{64}$/),
        data: { id: 'T', command: ['a', '1'] },
      });
    });

    it('load sees a change at once: another version, and the former one when it is changed back', async () => {
      await fixture.put('T', '{"a": 1}');
      const first = await source.load('T');
      await fixture.put('T', '{"a": 2}');
      const second = await source.load('T');
      expect(second.data).toEqual({ a: 2 });
      expect(second.version).not.toBe(first.version);
      await fixture.put('T', '{"a": 1}');
      expect((await source.load('T')).version).toBe(first.version);
    });

    it('load does not mind being asked many times at once', async () => {
      await fixture.put('T', '{"a": 1}');
      const texts = await Promise.all(Array.from({ length: 50 }, () => source.load('T')));
      expect(new Set(texts.map(({ version }) => version)).size).toBe(1);
    });

    it('load names a template that is not there, or no more', async () => {
      const missing = {
        code: 'TEMPLATE_NOT_FOUND',
        message: expect.stringContaining('"T"'),
        details: { template_id: 'T' },
      };
      await expect(source.load('T')).rejects.toMatchObject(missing);
      await fixture.put('T', '{"a": 1}');
      await source.load('T');
      await fixture.remove('T');
      await expect(source.load('T')).rejects.toMatchObject(missing);
    });

    it.each(['../T', '..', '', 'a/b', 'a\0', 'T?x', 'T#x', '%2e%2e', '-x', 'x'.repeat(129)])(
      'load asks nobody for the impossible name %j',
      async (id) => {
        await expect(source.load(id)).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
      },
    );

    it('load refuses what cannot be parsed, naming where it stands', async () => {
      await fixture.put('T', '{"a": ');
      const { location } = (await source
        .load('T')
        .catch((error: { details: { location: string } }) => error.details)) as {
        location: string;
      };
      await expect(source.load('T')).rejects.toMatchObject({
        code: 'TEMPLATE_INVALID',
        message: expect.stringContaining(location),
      });
    });

    it('load refuses more than 1 MiB', async () => {
      await fixture.put('T', JSON.stringify({ id: 'T', description: 'x'.repeat(1024 * 1024) }));
      const refused = { code: 'TEMPLATE_INVALID', message: expect.stringContaining('1048576') };
      await expect(source.load('T')).rejects.toMatchObject(refused);
    });

    it('list gives the ids in order', async () => {
      expect(await source.list()).toEqual({ ids: [] });
      for (const id of ['b', 'A', 'a-1.x']) await fixture.put(id, '{}');
      expect(await source.list()).toEqual({ ids: ['A', 'a-1.x', 'b'] });
    });
  });
}
