import { killCgroup } from './cgroups.ts';
import type { Context } from '../context.ts';
import type { Incarnation } from '../incarnation.ts';

/** Sends SIGKILL to all that lives of a tree, as far as its kill mode reaches, and says how many those were. */
export function killTree({ tree, signaller }: Pick<Context, 'tree' | 'signaller'>, incarnation: Incarnation): number {
  if (incarnation.record.kill_mode === 'process')
    return incarnation.ended || signaller.send(incarnation, 'SIGKILL') === 'gone' ? 0 : 1;
  const members = tree.members(incarnation.key);
  const { cgroup } = incarnation.record;
  if (cgroup !== undefined && members.length > 0) killCgroup(cgroup, signaller.forbidden);
  // The group first, at one blow: a tree that forks while it is killed one by one can outrun the killer.
  const inGroup = members.find((member) => member.pgrp === incarnation.pid);
  if (inGroup) signaller.send(inGroup, 'SIGKILL', incarnation.pid);
  for (const member of members) {
    if (member.pgrp !== incarnation.pid) signaller.send(member, 'SIGKILL');
  }
  return members.length;
}
