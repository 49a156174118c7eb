// `--rootfs /`: the host's own root as a workload's, without what only the host's administrators may read.
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { bindMount, type OciMount, tmpfs } from './oci-spec.ts';

/** Folders with people's files and keys; the workload sees empty, unwritable ones. */
const COVERED_FOLDERS = ['/root', '/home', '/etc/ssh', '/etc/ssl/private'];

/** Password hashes and their backups; the workload sees empty files. */
const COVERED_FILES = ['/etc/shadow', '/etc/shadow-', '/etc/gshadow', '/etc/gshadow-', '/etc/sudoers'];

/** Where programs write: fresh and small, instead of what the host's programs left there. */
const FRESH_FOLDERS: readonly (readonly [path: string, mode: string])[] = [
  ['/tmp', '1777'],
  ['/var/tmp', '1777'],
  ['/run', '755'],
];
const FRESH_SIZE = '64m';

export interface HostRootOptions {
  /** Where the root is mounted: only what is there is covered. */
  readonly rootDir: string;
  /** Further folders of the host that the workload must not see: PROVOST_HOME. */
  readonly hiddenDirs: readonly string[];
  /** An empty file that anyone may read. */
  readonly emptyFile: string;
}

/** Whether the layers are the host's own root. */
export function isHostRoot(layerDirs: readonly string[]): boolean {
  return layerDirs.includes('/');
}

/** Mounts that go over the host's root, in order. */
export function hostRootCovers(options: HostRootOptions): OciMount[] {
  const { rootDir, emptyFile } = options;
  const isThere = (path: string, kind: 'isDirectory' | 'isFile'): boolean =>
    lstatSync(join(rootDir, path), { throwIfNoEntry: false })?.[kind]() === true;
  // What lies in a folder that is covered anyway is out of sight, and nothing could be mounted there.
  const opaque = [...COVERED_FOLDERS, ...FRESH_FOLDERS.map(([path]) => path)];
  const hidden = options.hiddenDirs.filter((dir) => !opaque.some((cover) => `${dir}/`.startsWith(`${cover}/`)));
  const covered = [...COVERED_FOLDERS, ...hidden].filter((path) => isThere(path, 'isDirectory'));
  const files = COVERED_FILES.filter((path) => isThere(path, 'isFile'));
  return [
    ...covered.map((path) => tmpfs(path, ['nosuid', 'nodev', 'noexec', 'ro', 'mode=555', 'size=4k'])),
    ...files.map((target) => bindMount({ source: emptyFile, target, readOnly: true })),
    ...FRESH_FOLDERS.filter(([path]) => isThere(path, 'isDirectory')).map(([path, mode]) =>
      tmpfs(path, ['nosuid', 'nodev', `mode=${mode}`, `size=${FRESH_SIZE}`]),
    ),
  ];
}
