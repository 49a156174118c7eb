// What the demo needs of the host, looked for before anything is made.
import { accessSync, closeSync, constants, openSync, readSync } from 'node:fs';
import { delimiter, join } from 'node:path';

import { errnoOf, exitStatus } from '../../base/index.ts';
import { CliError } from '../cli-error.ts';

/** Folders beside PATH where Debian and scripts/setup put what a user's PATH may lack. */
const EXTRA_FOLDERS = ['/usr/sbin', '/sbin', '/usr/local/lib/provost/bin'];
/** Each command with its Debian package; gVisor is not among them: without it the demo shows how low trust is refused. */
const COMMANDS: ReadonlyMap<string, string> = new Map([
  ['runc', 'runc'],
  ['conmon', 'conmon'],
  ['nft', 'nftables'],
  ['bpftrace', 'bpftrace'],
  ['busybox', 'busybox-static'],
  ['mkfs.ext4', 'e2fsprogs'],
  ['unshare', 'util-linux'],
  ['git', 'git'],
  ['ssh-keygen', 'openssh-client'],
]);

/**
 * Finds what the demo needs.
 *
 * @returns the path of a busybox that needs no libraries
 * @throws CliError CLI_NOT_ROOT, CLI_DEMO naming what is missing
 */
export function findNeeds(folders: readonly string[] = searchFolders()): { readonly busybox: string } {
  if (process.getuid?.() !== 0) {
    throw new CliError('CLI_NOT_ROOT', 'the demo needs root: it makes cgroups, namespaces and mounts', {
      exit: exitStatus.notAuthorised,
      hint: 'Run it with sudo.',
    });
  }
  const missing = [...COMMANDS].filter(([command]) => findCommand(command, folders) === null);
  if (missing.length > 0)
    throw lacks(`the demo needs ${missing.map(([command]) => command).join(', ')}, which this host does not have`);
  const busybox = findCommand('busybox', folders) ?? '';
  if (!isStatic(busybox)) throw lacks(`the demo needs a busybox without libraries, and ${busybox} is linked to some`);
  return { busybox };
}

function lacks(message: string): CliError {
  return new CliError('CLI_DEMO', message, {
    exit: exitStatus.unavailable,
    hint: `Run: npm run setup -- --for demo (or: apt-get install -y ${[...COMMANDS.values()].join(' ')})`,
  });
}

function searchFolders(): string[] {
  return [...(process.env['PATH'] ?? '').split(delimiter), ...EXTRA_FOLDERS];
}

function findCommand(name: string, folders: readonly string[]): string | null {
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** The program headers of an ELF file lie within its first page. */
const HEAD_BYTES = 4096;
const PT_INTERP = 3;
const ELF64_HEADER = { programs: 32, size: 54, count: 56 } as const;

/** Whether a 64-bit program names no dynamic linker. */
function isStatic(path: string): boolean {
  const head = Buffer.alloc(HEAD_BYTES);
  const file = openSync(path, 'r');
  try {
    readSync(file, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(file);
  }
  const start = Number(head.readBigUInt64LE(ELF64_HEADER.programs));
  const [size, count] = [head.readUInt16LE(ELF64_HEADER.size), head.readUInt16LE(ELF64_HEADER.count)];
  for (let at = start; at < start + size * count && at + 4 <= HEAD_BYTES; at += size) {
    if (head.readUInt32LE(at) === PT_INTERP) return false;
  }
  return true;
}
