import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Ports } from '../../config/config.ts';
import type { DaemonFile } from '../../contract/daemon-view.ts';
import type { DoctorCheck } from '../../contract/doctor-view.ts';
import { assertPortFree } from '../free-port.ts';

/** The daemon that runs on this state directory. */
export type OwnDaemon = DaemonFile;

export function ownDaemon(stateDir: string): OwnDaemon | undefined {
  try {
    const file = JSON.parse(readFileSync(path.join(stateDir, 'daemon.json'), 'utf8')) as DaemonFile;
    process.kill(file.pid, 0);
    return file;
  } catch {
    return undefined; // none, or gone
  }
}

/** For each port, whether it is free or ours. */
export async function checkPorts(ports: Ports, own: OwnDaemon | undefined, isCluster: boolean): Promise<DoctorCheck[]> {
  const names = (Object.keys(ports) as (keyof Ports)[]).filter(
    (name) => !isCluster || (name !== 'temporal' && name !== 'ui'),
  );
  return Promise.all(names.map((name) => checkPort(name, ports[name], own)));
}

async function checkPort(name: keyof Ports, port: number, own: OwnDaemon | undefined): Promise<DoctorCheck> {
  const title = `port ${name}`;
  const used = own?.ports[name];
  if (used !== undefined && (port === 0 || port === used))
    return { name: title, status: 'ok', says: `${used}, in use by this daemon (pid ${own?.pid})` };
  if (port === 0) return { name: title, status: 'ok', says: 'any that is free' };
  try {
    await assertPortFree(port, name);
    return { name: title, status: 'ok', says: `${port} is free` };
  } catch {
    const isTemporal = name === 'temporal' || name === 'ui';
    const says = `${port} is in use${isTemporal ? ', perhaps by the Temporal server that a daemon has left running' : ''}`;
    const way_out = `Find who with \`ss -ltnp 'sport = :${port}'\`, or set \`ports.${name}\` (0 = any free)`;
    return { name: title, status: isTemporal ? 'warn' : 'fail', says, way_out };
  }
}
