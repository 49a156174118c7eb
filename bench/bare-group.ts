// A group of the v2 tree that no home has: what a bench runs in it is watched, and nothing is limited.
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '../src/base/index.ts';

/** Makes `provost/<name>-<pid>`; the path of its folder. */
export function makeBareGroup(name: string): string {
  const v2 = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
  if (v2 === undefined) throw new Error('no cgroup v2 tree is mounted');
  const dir = join(v2, 'provost', `${name}-${process.pid}`);
  mkdirSync(dir, { recursive: true });
  return dir;
}

/** Removes the group, and its parent where nothing else is in it. */
export function removeBareGroup(dir: string): void {
  rmdirSync(dir);
  try {
    rmdirSync(dirname(dir));
  } catch (error) {
    // Workloads of a home are in it.
    if (!['EBUSY', 'ENOTEMPTY'].includes(errnoOf(error) ?? '')) throw error;
  }
}
