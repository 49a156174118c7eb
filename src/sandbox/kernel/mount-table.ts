// The mount table of this process, as /proc/self/mountinfo tells it.
import { readFileSync } from 'node:fs';

export interface MountEntry {
  /** Folder of its file system that it shows. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** Options of the file system itself, such as the controllers of a v1 cgroup hierarchy. */
  readonly options: readonly string[];
}

/** Reads the mounts that this process sees, in the order in which they were made. */
export function readMountTable(): readonly MountEntry[] {
  return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/**
 * Parses the text of a mountinfo file; lines of another shape are left out.
 *
 * @source proc_pid_mountinfo(5)
 */
export function parseMountTable(text: string): readonly MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [place = '', fileSystem] = line.split(' - ');
    const [, , , root, mountPoint] = place.split(' ');
    const [type, source, options] = (fileSystem ?? '').split(' ');
    if (root === undefined || mountPoint === undefined || !type || source === undefined) return [];
    return [
      {
        root: unescape(root),
        mountPoint: unescape(mountPoint),
        type,
        source: unescape(source),
        options: (options ?? '').split(','),
      },
    ];
  });
}

/** Mount points at or below `dir`, the last made first: the order in which they can be unmounted. */
export function mountPointsUnder(dir: string): readonly string[] {
  return readMountTable()
    .map(({ mountPoint }) => mountPoint)
    .filter((mountPoint) => mountPoint === dir || mountPoint.startsWith(`${dir}/`))
    .toReversed();
}

/** The kernel writes space, tab, newline and backslash in octal. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
