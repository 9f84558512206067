import type { TLSConfig } from '@temporalio/client';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { LoadedConfig } from '../../config/config.ts';
import type { PortName } from '../../contract/daemon-view.ts';
import type { CustodyLink } from '../../host/custody-link.ts';
import { EmbeddedTemporal } from './embedded.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import type { StateDir } from '../state-dir.ts';
import { findTemporal } from './binary.ts';
import { untilTemporalAnswers } from './ready.ts';

interface Credentials {
  tls?: TLSConfig;
  apiKey?: string;
}

export interface OpenTemporal {
  address: string;
  namespace: string;
  /** For a client's and for a worker's connection. */
  connection: { address: string } & Credentials;
  /** Undefined where a server or cluster of the user's own is used. */
  embedded: EmbeddedTemporal | undefined;
  ports: Partial<Record<PortName, number>>;
}

export interface OpenTemporalOptions {
  config: LoadedConfig['temporal'];
  ports: LoadedConfig['ports'];
  custody: CustodyLink;
  stateDir: StateDir;
  log: Logger;
  env: NodeJS.ProcessEnv;
  say: (line: string) => void;
}

/** How long a server of the user's own may take to answer. */
const ANSWER_MS = 10_000;

/** The Temporal that was named (environment first, then configuration), or else one of our own. Ready to be used. */
export async function openTemporal(options: OpenTemporalOptions): Promise<OpenTemporal> {
  const opened = (await openNamed(options.config)) ?? (await openEmbedded(options));
  try {
    await makeUsable(opened);
    return opened;
  } catch (error) {
    await opened.embedded?.stop();
    throw error;
  }
}

async function makeUsable({ address, namespace, connection: credentials }: OpenTemporal): Promise<void> {
  const connection = await untilTemporalAnswers({ address, namespace, credentials, deadlineMs: ANSWER_MS });
  try {
    await ensureSearchAttributes(connection, { namespace, address });
  } finally {
    await connection.close();
  }
}

/** `TEMPORAL_ADDRESS` and its like have been read with the configuration; they go before the file. */
export async function openNamed(config: LoadedConfig['temporal']): Promise<OpenTemporal | undefined> {
  const { address, namespace } = config;
  if (address === null) return undefined;
  return {
    address,
    namespace,
    connection: { address, ...(await credentialsOf(config)) },
    embedded: undefined,
    ports: {},
  };
}

async function openEmbedded({ ports, custody, stateDir, log, env, say }: OpenTemporalOptions): Promise<OpenTemporal> {
  const binary = await findTemporal({ env, progress: say });
  const embedded = new EmbeddedTemporal({ custody, binary, stateDir: stateDir.path, ports, log, env });
  const { address, namespace, uiUrl } = await embedded.start();
  return {
    address,
    namespace,
    connection: { address },
    embedded,
    ports: { temporal: Number(address.split(':')[1]), ui: Number(new URL(uiUrl).port) },
  };
}

async function credentialsOf({ tls, apiKey }: LoadedConfig['temporal']): Promise<Credentials> {
  const key = apiKey === null ? {} : { apiKey };
  if (tls === null) return key;
  const { caFile, certFile, keyFile, serverName } = tls;
  return {
    ...key,
    tls: {
      ...(caFile === undefined ? {} : { serverRootCACertificate: await readFile(caFile) }),
      ...(certFile === undefined || keyFile === undefined
        ? {}
        : { clientCertPair: { crt: await readFile(certFile), key: await readFile(keyFile) } }),
      ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
    },
  };
}
