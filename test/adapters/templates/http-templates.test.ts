import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpTemplates, type HttpTemplatesOptions } from '../../../src/adapters/templates/http-templates.ts';
import { templateSourceContract } from '../../contracts/template-source-contract.ts';
import { DesignService } from '../../support/design-service.ts';

const unused = { token: null, onChange: () => undefined, onTrouble: () => undefined };

templateSourceContract('HttpTemplates as a source of templates', async () => {
  const service = await new DesignService().start();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-http-'));
  return {
    source: new HttpTemplates({ ...unused, url: service.url, cacheFolder: folder }),
    put: async (id, content) => void service.templates.set(id, content),
    remove: async (id) => void service.templates.delete(id),
    dispose: async () => {
      await service.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
});

describe('HttpTemplates', () => {
  let service: DesignService;
  let folder: string;
  let told: string[];
  const make = (more: Partial<HttpTemplatesOptions> = {}): HttpTemplates =>
    new HttpTemplates({
      ...unused,
      url: service.url,
      cacheFolder: folder,
      onChange: (reachable, why) => told.push(`${reachable}: ${why}`),
      onTrouble: (message) => told.push(message),
      ...more,
    });
  beforeEach(async () => {
    service = await new DesignService().start();
    service.templates.set('T', '{"command": ["a"]}');
    folder = await mkdtemp(path.join(os.tmpdir(), 'openstarry-http-'));
    told = [];
  });
  afterEach(async () => {
    await service.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('reads YAML too, and sends the token', async () => {
    service.token = 'secret';
    service.templates.set('Y', 'command: [a]');
    expect((await make({ token: 'secret' }).load('Y')).data).toEqual({ command: ['a'] });
    expect(service.requests[0]?.headers.authorization).toBe('Bearer secret');
  });

  it('asks with the ETag of its copy, also in a later life', async () => {
    const first = await make().load('T');
    expect(await make().load('T')).toEqual(first);
    expect(service.requests.map(({ headers }) => headers['if-none-match'])).toEqual([
      undefined,
      expect.stringMatching(/^".+"$/),
    ]);
  });

  it('takes the copy while the service is away, says so, and tells once', async () => {
    const templates = make({ pauseMs: 0 });
    const original = await templates.load('T');
    await service.stop();
    for (let n = 0; n < 2; n += 1) {
      const copy = await templates.load('T');
      expect(copy).toEqual({
        ...original,
        stale: expect.stringMatching(/^a copy of template T of \d{4}-.*ECONNREFUSED/),
      });
    }
    expect(await templates.list()).toEqual({ ids: ['T'], stale: expect.stringContaining('ECONNREFUSED') });
    await expect(templates.load('Other')).rejects.toMatchObject({
      code: 'DESIGN_LAYER_UNAVAILABLE',
      message: expect.stringContaining('there is no copy'),
    });
    await service.start();
    expect(await templates.load('T')).toEqual(original);
    expect(told).toEqual([expect.stringMatching(/^false: /), expect.stringMatching(/^true: /)]);
  });

  it('takes the copy at a start at which the service is away already', async () => {
    const original = await make().load('T');
    await service.stop();
    expect(await make().load('T')).toMatchObject({ version: original.version, stale: expect.any(String) });
  });

  it.each([
    ['status 500', 500],
    ['status 401', 401],
    ['status 429', 429],
  ])('takes the copy after %s', async (says, status) => {
    const templates = make();
    await templates.load('T');
    service.answer = (_, response) => void response.writeHead(status).end();
    expect((await templates.load('T')).stale).toContain(says);
  });

  it('takes the copy when there is no answer in time, and leaves the service in peace for a while', async () => {
    const templates = make({ timeoutMs: 50, pauseMs: 60_000 });
    await templates.load('T');
    service.answer = () => undefined;
    expect((await templates.load('T')).stale).toContain('no answer within 50 ms');
    const asked = service.requests.length;
    expect((await templates.load('T')).stale).toContain('no answer within 50 ms');
    expect(service.requests).toHaveLength(asked);
  });

  it('does not follow a redirect, which could carry the token elsewhere', async () => {
    service.answer = (_, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    await expect(make({ token: 'secret' }).load('T')).rejects.toMatchObject({ code: 'DESIGN_LAYER_UNAVAILABLE' });
  });

  it('believes a 404: the copy is gone too', async () => {
    const templates = make();
    await templates.load('T');
    service.templates.delete('T');
    await expect(templates.load('T')).rejects.toMatchObject({ code: 'TEMPLATE_NOT_FOUND' });
    await service.stop();
    await expect(templates.load('T')).rejects.toMatchObject({ code: 'DESIGN_LAYER_UNAVAILABLE' });
  });

  it('does not use a copy that is damaged, or of another service', async () => {
    await make().load('T');
    await service.stop();
    await expect(make({ url: 'http://127.0.0.1:1' }).load('T')).rejects.toMatchObject({
      code: 'DESIGN_LAYER_UNAVAILABLE',
    });
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const file = entries.find((entry) => entry.isFile())!;
    await writeFile(path.join(file.parentPath, file.name), '{"id":"T","content":"{');
    await expect(make().load('T')).rejects.toMatchObject({ code: 'DESIGN_LAYER_UNAVAILABLE' });
  });

  it('works without a disk that takes copies', async () => {
    await writeFile(path.join(folder, 'file'), '');
    const templates = make({ cacheFolder: path.join(folder, 'file') });
    expect((await templates.load('T')).data).toEqual({ command: ['a'] });
    expect(told).toEqual(['The copy of a template cannot be written']);
  });

  it('refuses a list that is none', async () => {
    service.answer = (_, response) => void response.end('{"templates": 5}');
    await expect(make().list()).rejects.toMatchObject({ code: 'DESIGN_LAYER_UNAVAILABLE' });
  });
});
