// Looks at a group every millisecond while its workload is dealt with, and notes when the kernel began to hold something else.
import { spawn } from 'node:child_process';

import type { KernelGroup, KernelLimits, KernelUse } from './kernel-group.ts';

/** What Node's timers can do; a look costs some 40 µs. */
const LOOK_EVERY_MS = 1;

/** One change in the kernel. */
export interface Change {
  /** `performance.now()` when it was seen. */
  readonly atMs: number;
  readonly kind: 'cpu' | 'network' | 'frozen' | 'gone';
  readonly text: string;
  readonly source: string;
}

export interface KernelWatch extends Disposable {
  readonly changes: readonly Change[];
  /** The most processes that were seen, and the last use before the group was gone. */
  readonly peak: { readonly pids: number; readonly use: KernelUse | null };
}

/**
 * Watches a group and the links of its home.
 *
 * @param table nf_tables table of the home
 */
export function watchKernel(group: KernelGroup, table: string): KernelWatch {
  const changes: Change[] = [];
  const note = (change: Omit<Change, 'atMs'>): void => void changes.push({ atMs: performance.now(), ...change });
  const peak: { pids: number; use: KernelUse | null } = { pids: 0, use: null };
  let before = group.limits();
  const look = (): void => {
    const use = group.use();
    const now = use === null ? null : group.limits();
    if (use !== null) peak.use = use;
    peak.pids = Math.max(peak.pids, use?.pids ?? 0);
    const isEmpty = use === null || use.pids === 0;
    const seen = changesBetween(group.files, before, isEmpty ? null : now);
    // Of each kind the first: while it is being killed, what is frozen thaws and may freeze again.
    for (const change of seen) if (changes.every(({ kind }) => kind !== change.kind)) note(change);
    before = isEmpty ? null : now;
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  const monitor = monitorLinks(table, () =>
    note({
      kind: 'network',
      text: 'network cut: its link is not open any more',
      source: `nft monitor: ${table}, set open`,
    }),
  );
  return {
    changes,
    peak,
    [Symbol.dispose]: () => {
      clearInterval(timer);
      monitor[Symbol.dispose]();
    },
  };
}

function changesBetween(
  files: KernelGroup['files'],
  before: KernelLimits | null,
  now: KernelLimits | null,
): Omit<Change, 'atMs'>[] {
  if (before === null) return [];
  if (now === null) return [{ kind: 'gone', text: 'killed: no process of it is left', source: 'pids.current' }];
  const found: Omit<Change, 'atMs'>[] = [];
  if (now.cpuMillicores < before.cpuMillicores) {
    const text = `CPU clamped: ${before.cpuMillicores}m → ${now.cpuMillicores}m`;
    found.push({ kind: 'cpu', text, source: shortName(files.cpu) });
  }
  if (now.frozen && !before.frozen)
    found.push({ kind: 'frozen', text: 'frozen: none of its processes runs', source: shortName(files.freezer) });
  return found;
}

/** The name of a control file without its folder. */
export function shortName(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1);
}

/** The kernel tells nft of each element that leaves a set. */
function monitorLinks(table: string, onCut: () => void): Disposable {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const child = spawn('nft', ['monitor', 'elements'], { env: { PATH: path }, stdio: ['ignore', 'pipe', 'ignore'] });
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.startsWith(`delete element inet ${table} open `)) onCut();
  });
  // Without nft the demo has not come this far; a monitor that cannot start leaves its claim without a number.
  child.once('error', () => undefined);
  return { [Symbol.dispose]: () => void child.kill('SIGKILL') };
}
