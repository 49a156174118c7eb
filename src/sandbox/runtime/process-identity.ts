// Which process a pid means: the pid together with the time of its start, since pids come around again.
import { readFileSync } from 'node:fs';
import { errnoOf } from '../../base/index.ts';

/** Field 22 of /proc/<pid>/stat, in clock ticks since boot; null when there is no such process, or only its zombie. */
export function processStartTicks(pid: number): number | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return null;
    throw error;
  }
  // attacker-controlled: the name in parentheses may hold spaces and parentheses; the last one ends it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], Number(fields[19])];
  if (state === 'Z' || state === 'X' || !Number.isSafeInteger(startTicks)) return null;
  return startTicks;
}

/** True while the process that had `pid` when it was recorded is alive. */
export function isSameProcess(pid: number, startTicks: number): boolean {
  return processStartTicks(pid) === startTicks;
}
