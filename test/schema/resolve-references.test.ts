import { describe, expect, it } from 'vitest';
import { parseEnvFile } from '../../src/schema/env-file.ts';
import { resolveReferences } from '../../src/schema/resolve-references.ts';

const launch = (command: string[], env: Record<string, string> = {}, env_file: string | null = null) => ({
  command,
  env,
  env_file,
});

describe('resolveReferences', () => {
  it('expands ${VAR} and ${VAR:-default} in command and env', () => {
    const found = resolveReferences(
      launch(['x', 'a${A}b${EMPTY}', '${EMPTY:-d} ${NONE:-} ${A:-d}'], { B: '${A}${A}' }),
      { A: '1', EMPTY: '' },
    );
    expect(found).toEqual({ command: ['x', 'a1b', 'd  1'], env: { B: '11' } });
  });

  it('expands once: what a variable contains stays as it is', () => {
    expect(resolveReferences(launch(['${A}']), { A: '${B}$&', B: 'no' }).command).toEqual(['${B}$&']);
  });

  it('writes $${ as ${ and leaves every other dollar to whoever runs', () => {
    const command = ['$${A}', '$A', '$$', '${#A}', '${A%x}', '${}', '${A', '$$$${A}'];
    expect(resolveReferences(launch(command), { A: '1' }).command).toEqual([
      '${A}',
      '$A',
      '$$',
      '${#A}',
      '${A%x}',
      '${}',
      '${A',
      '$$${A}',
    ]);
  });

  it('names the field and the variable that is missing, and the way out', () => {
    expect(() => resolveReferences(launch(['x', '${API_KEY}']), {})).toThrow(
      expect.objectContaining({
        code: 'SPAWN_FAILED',
        message:
          "command.1 refers to ${API_KEY}, which is not in the daemon's environment; set it, or write ${API_KEY:-default}",
        details: { field: 'command.1', variable: 'API_KEY' },
      }),
    );
    expect(() => resolveReferences(launch(['x'], { K: '${toString}' }, '/e'), {}, '')).toThrow(
      "env.K refers to ${toString}, which is neither in /e nor in the daemon's environment",
    );
  });

  it('hands on the env file, which comes before the daemon and after the agent', () => {
    const found = resolveReferences(
      launch(['${A}${H}'], { B: 'own', C: '${A}' }, '/e'),
      { A: 'daemon', H: 'h' },
      'A=file\nB=file\n',
    );
    expect(found).toEqual({ command: ['fileh'], env: { A: 'file', B: 'own', C: 'file' } });
  });
});

describe('parseEnvFile', () => {
  it('reads names, quotes, comments and export', () => {
    const text = [
      '\u{feff}# comment',
      '',
      'A=1',
      'export B = two words ',
      "C='a # \\n b' # c",
      'D="x\\n\\"y\\" $Z"',
      'E=a#b # c',
      'F=',
      'G=a=b',
      'H= # nothing',
    ].join('\r\n');
    expect(parseEnvFile('/e', text)).toEqual({
      A: '1',
      B: 'two words',
      C: 'a # \\n b',
      D: 'x\n"y" $Z',
      E: 'a#b',
      F: '',
      G: 'a=b',
      H: '',
    });
  });

  it.each([
    ['A=1\nnonsense', 'env_file /e, line 2: expected NAME=value'],
    ['A="unfinished', 'line 1: expected NAME=value'],
    ['A-B=1', 'line 1: expected NAME=value'],
    ['__proto__=1', 'line 1: expected NAME=value'],
    ['OPENSTARRY_TOKEN=x', 'line 1: OPENSTARRY_TOKEN is set by the daemon'],
    ['A=x\0y', 'the value of A contains a NUL character'],
  ])('refuses %j, naming the line', (text, message) => {
    expect(() => parseEnvFile('/e', text)).toThrow(
      expect.objectContaining({ code: 'SPAWN_FAILED', message: expect.stringContaining(message) }),
    );
  });
});
