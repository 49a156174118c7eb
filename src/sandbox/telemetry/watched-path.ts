// Files that hold credentials or lead out of a sandbox, wherever they lie.

/** Folder (any when empty) and name (any when empty) of a watched file. */
export const watchedFiles: readonly (readonly [folder: string, name: string])[] = [
  ['etc', 'shadow'],
  ['etc', 'gshadow'],
  ['.ssh', ''],
  ['.aws', ''],
  ['.kube', ''],
  ['', '.git-credentials'],
  ['', 'release_agent'],
];

/** Watched in a proc file system alone. */
export const watchedProcFiles: readonly string[] = ['mem', 'kcore', 'core_pattern', 'sysrq-trigger'];

/** Sockets of container engines: who can talk to one owns the host. */
const engineSockets: readonly string[] = ['docker.sock', 'containerd.sock', 'crio.sock', 'podman.sock'];

/** True for a path, as a program wrote it, that names a watched file. */
export function isWatchedPath(path: string): boolean {
  // attacker-controlled: compared as text. `.` and `..` are resolved as text too, which a symbolic link can fool; the
  // file that is really opened is judged by the kernel's own names.
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  const name = parts.at(-1) ?? '';
  const folder = parts.at(-2) ?? '';
  if (parts[0] === 'proc' && watchedProcFiles.includes(name)) return true;
  return watchedFiles.some(
    ([inFolder, named]) => (inFolder === '' || inFolder === folder) && (named === '' || named === name),
  );
}

/** True for the path of a container engine's socket. */
export function isEngineSocket(path: string): boolean {
  return engineSockets.some((socket) => path === socket || path.endsWith(`/${socket}`));
}
