import path from 'node:path';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';
import type { DesignLayerSettings } from './config.ts';
import { secretOf } from './secret-setting.ts';

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

export function designLayerOf(
  source: ConfigSource,
  { design_layer = {} }: ConfigFile,
  env: Readonly<Record<string, string | undefined>>,
): DesignLayerSettings {
  const { path: folder, url, token } = design_layer;
  if (url === undefined) {
    if (token !== undefined)
      throw source.invalid(
        ['design_layer', 'token'],
        'design_layer.token is for a service; give design_layer.url too, or remove it',
      );
    return { kind: 'folder', path: path.resolve(path.dirname(source.file), folder ?? 'templates') };
  }
  if (folder !== undefined)
    throw source.invalid(['design_layer', 'url'], 'design_layer has both path and url; keep one of them');
  if (!URL.canParse(url))
    throw source.invalid(
      ['design_layer', 'url'],
      `design_layer.url is ${JSON.stringify(url)}; expected an http or https URL`,
    );
  const { protocol, hostname, username, password } = new URL(url);
  if (username !== '' || password !== '')
    throw source.invalid(
      ['design_layer', 'url'],
      'design_layer.url contains a user or password; use design_layer.token',
    );
  // A token is never sent in the clear.
  if (token !== undefined && protocol === 'http:' && !LOOPBACK.test(hostname))
    throw source.invalid(
      ['design_layer', 'url'],
      'design_layer.url is http, over which the token would be readable by others; expected https, or a loopback address',
    );
  return {
    kind: 'service',
    url: url.replace(/\/+$/, ''),
    token: secretOf(source, ['design_layer', 'token'], token, env),
  };
}
