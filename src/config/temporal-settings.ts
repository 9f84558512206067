import path from 'node:path';
import type { ConfigFile } from './config-schema.ts';
import type { ConfigSource } from './config-source.ts';
import type { TemporalSettings } from './config.ts';
import { secretOf } from './secret-setting.ts';

/**
 * `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and `TEMPORAL_API_KEY`, as Temporal's own tools know them, come before what
 * the file says.
 */
export function temporalSettingsOf(
  source: ConfigSource,
  { temporal = {} }: ConfigFile,
  env: Readonly<Record<string, string | undefined>>,
): TemporalSettings {
  const address = env['TEMPORAL_ADDRESS'] || temporal.address || null;
  const apiKey = apiKeyOf(source, temporal, env);
  if (address === null && (temporal.tls || temporal.api_key)) {
    const name = temporal.tls ? 'tls' : 'api_key';
    throw source.invalid(
      ['temporal', name],
      `temporal.${name} is for a cluster; give temporal.address too, or remove it`,
    );
  }
  return {
    address,
    namespace: env['TEMPORAL_NAMESPACE'] || temporal.namespace || 'default',
    tls: tlsOf(source, temporal, apiKey),
    apiKey,
    requireSigned: temporal.require_signed ?? false,
  };
}

type Temporal = NonNullable<ConfigFile['temporal']>;

function apiKeyOf(
  source: ConfigSource,
  temporal: Temporal,
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  if (env['TEMPORAL_API_KEY']) return env['TEMPORAL_API_KEY'];
  return secretOf(source, ['temporal', 'api_key'], temporal.api_key, env);
}

/** An API key is never sent in the clear: with one, TLS is on unless the file says `tls: false`. */
function tlsOf(source: ConfigSource, { tls }: Temporal, apiKey: string | null): TemporalSettings['tls'] {
  if (tls === undefined) return apiKey === null ? null : {};
  if (tls === false) return null;
  if (tls === true) return {};
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw source.invalid(['temporal', 'tls'], 'temporal.tls has only one of cert and key; give both, or neither');
  }
  const absolute = (file: string): string => path.resolve(path.dirname(source.file), file);
  return {
    ...(tls.ca !== undefined && { caFile: absolute(tls.ca) }),
    ...(tls.cert !== undefined && { certFile: absolute(tls.cert) }),
    ...(tls.key !== undefined && { keyFile: absolute(tls.key) }),
    ...(tls.server_name !== undefined && { serverName: tls.server_name }),
  };
}
