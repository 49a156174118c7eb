// What a test needs of the host. A test that cannot run here says why; in CI it may not be skipped at all, unless the list below argues for it.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

/** Folders beside PATH where scripts/setup, Go and Debian put what a user's PATH may lack. */
const EXTRA_FOLDERS = ['/usr/local/lib/provost/bin', '/usr/local/go/bin', '/usr/sbin', '/sbin'];

/** Public test vectors (RFC 8785, Wycheproof, CCTV …), which are data of others and lie beside the checkout. */
export const VECTORS_FOLDER = resolve(
  process.env['PROVOST_VECTORS'] ?? join(import.meta.dirname, '../../shared/vectors'),
);

/** Each need: whether this host meets it, and what to do when it does not. */
const NEEDS = {
  root: { isMet: () => process.getuid?.() === 0, how: 'run the tests as root' },
  runc: command('runc', 'runc'),
  runsc: command('runsc', 'runsc'),
  conmon: command('conmon', 'conmon'),
  nft: command('nft', 'nftables'),
  ip: command('ip', 'iproute2'),
  bpftrace: command('bpftrace', 'bpftrace'),
  strace: command('strace', 'strace'),
  zstd: command('zstd', 'zstd'),
  busybox: command('busybox', 'busybox-static'),
  'mkfs.ext4': command('mkfs.ext4', 'e2fsprogs'),
  'docker-registry': command('docker-registry', 'docker-registry'),
  dockerd: command('dockerd', 'docker.io'),
  dpkg: command('dpkg', 'dpkg'),
  git: command('git', 'git'),
  python3: command('python3', 'python3'),
  'ssh-keygen': command('ssh-keygen', 'openssh-client'),
  gpg: command('gpg', 'gnupg'),
  go: { isMet: () => findCommand('go') !== null, how: 'install Go 1.25 or later, from go.dev/dl' },
  'cgroup-v1': { isMet: () => existsSync('/sys/fs/cgroup/cpu/cgroup.procs'), how: 'boot with cgroup v1 controllers' },
  vectors: { isMet: () => existsSync(VECTORS_FOLDER), how: 'set PROVOST_VECTORS to a folder of public test vectors' },
} as const;

export type Need = keyof typeof NEEDS;

/** Needs that may be unmet in CI, each with the reason why nothing is lost. */
const ALLOWED_SKIPS: ReadonlyMap<Need, string> = new Map([
  ['cgroup-v1', 'a host has one version of control groups; the other is held to on files'],
  [
    'vectors',
    'data of others, not part of the checkout; the tests beside these hold the same code to cases of our own',
  ],
]);

/**
 * For `describe.skipIf(needs('root', 'runsc'))`: false when the host has all of it. Otherwise prints what is missing
 * and answers true, so that the tests are skipped; in CI it throws, so that nothing is skipped unseen.
 */
export function needs(...names: readonly Need[]): boolean {
  const unmet = names.filter((name) => !NEEDS[name].isMet());
  if (unmet.length === 0) return false;
  const why = unmet.map((name) => `${name} (${NEEDS[name].how})`).join(', ');
  const refused = unmet.filter((name) => !ALLOWED_SKIPS.has(name));
  if (process.env['CI'] !== undefined && refused.length > 0) {
    throw new Error(`in CI these tests may not be skipped, but this host lacks ${why}`);
  }
  process.stderr.write(`skipped: this host lacks ${why}\n`);
  return true;
}

/** The path of a command in PATH, in the project's own folder or in Debian's administration folders; null when it is nowhere. */
export function findCommand(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...EXTRA_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function command(name: string, debianPackage: string): { isMet: () => boolean; how: string } {
  return { isMet: () => findCommand(name) !== null, how: `scripts/setup --for test installs ${debianPackage}` };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there or not executable: the same answer either way.
    return false;
  }
}
