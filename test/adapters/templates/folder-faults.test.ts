import { open } from 'node:fs/promises';
import os from 'node:os';
import { expect, it, vi } from 'vitest';
import { FolderTemplates } from '../../../src/adapters/templates/folder-templates.ts';
import { isFinal } from '../../../src/contract/errors.ts';

vi.mock('node:fs/promises', async (original) => ({ ...(await original<object>()), open: vi.fn() }));

it.each([
  ['EMFILE', 'DESIGN_LAYER_UNAVAILABLE', false],
  ['ESTALE', 'DESIGN_LAYER_UNAVAILABLE', false],
  ['EIO', 'DESIGN_LAYER_UNAVAILABLE', false],
  ['EACCES', 'TEMPLATE_INVALID', true],
] as const)('a template that cannot be opened: %s is %s', async (errno, code, final) => {
  vi.mocked(open).mockRejectedValue(Object.assign(new Error(`${errno}: no`), { code: errno }));
  const templates = new FolderTemplates(os.tmpdir());
  await expect(templates.load('T')).rejects.toMatchObject({ code, message: expect.stringContaining(errno) });
  expect(isFinal(code)).toBe(final);
});
