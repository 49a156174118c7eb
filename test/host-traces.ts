// What a search for leftovers on the host reads: names in folders, command lines of processes.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of what is in a folder; none when there is no such folder. */
export function namesIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir).map((name) => join(dir, name)) : [];
}

/** The command line of a process, its words separated by spaces; empty when it has ended. */
export function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It has ended since the listing: no trace.
    return '';
  }
}
