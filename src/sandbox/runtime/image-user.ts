// Who a workload runs as: the user that an image or `--user` names, looked up in the root file system's own passwd and group.
import { closeSync, constants, fstatSync, openSync, readSync, readlinkSync } from 'node:fs';
import { errnoOf, exitStatus, MIB } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

/** A user inside the workload. */
export interface ImageUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

/** Ids that a workload's user namespace maps. */
export const ID_RANGE_SIZE = 65_536;

/** A passwd or group file beyond this is refused: the largest real ones have some thousand lines. */
const ACCOUNT_FILE_BYTES_MAX = MIB;
/** As the kernel's own limit of symbolic links in one path. */
const LINKS_MAX = 40;
const SUPPLEMENTARY_GROUPS_MAX = 64;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * Resolves `user` (`name`, `uid`, `name:group`, `uid:gid` …; empty for root) within the root file system at `rootDir`.
 * Numbers need no account; names do. Supplementary groups follow only when no group was named, as with Docker.
 *
 * @throws SandboxError SANDBOX_USER when a name is unknown, an id lies beyond the workload's range, or an account file is not plain
 */
export function resolveImageUser(rootDir: string, user: string): ImageUser {
  const [userText = '', groupText, ...rest] = user.split(':');
  if (rest.length > 0) throw badUser(user, 'it has more than one colon');
  const wanted = userText === '' ? '0' : userText;
  const accounts = parsePasswd(readAccountFile(rootDir, '/etc/passwd'));
  const groups = parseGroups(readAccountFile(rootDir, '/etc/group'));
  const uid = parseId(wanted);
  const account = accounts.find((entry) => (uid === null ? entry.name === wanted : entry.uid === uid));
  if (uid === null && account === undefined) throw badUser(user, `the image's /etc/passwd has no user '${wanted}'`);
  const gid =
    groupText === undefined || groupText === '' ? (account?.gid ?? 0) : groupId({ groups, text: groupText, user });
  const named = groupText !== undefined && groupText !== '';
  const additionalGids = account === undefined || named ? [] : groupsOf(groups, account);
  for (const id of [uid ?? account?.uid ?? 0, gid]) {
    if (id >= ID_RANGE_SIZE) throw badUser(user, `id ${id} is beyond the ${ID_RANGE_SIZE} ids that a workload has`);
  }
  return { uid: uid ?? account?.uid ?? 0, gid, additionalGids, home: account?.home ?? '/' };
}

function groupId(options: { groups: readonly GroupEntry[]; text: string; user: string }): number {
  const id = parseId(options.text);
  if (id !== null) return id;
  const entry = options.groups.find((group) => group.name === options.text);
  if (entry === undefined) throw badUser(options.user, `the image's /etc/group has no group '${options.text}'`);
  return entry.gid;
}

function groupsOf(groups: readonly GroupEntry[], account: PasswdEntry): number[] {
  const ids = groups.filter((group) => group.members.includes(account.name)).map((group) => group.gid);
  return [...new Set(ids)].filter((id) => id < ID_RANGE_SIZE && id !== account.gid).slice(0, SUPPLEMENTARY_GROUPS_MAX);
}

function parseId(text: string): number | null {
  return /^\d{1,10}$/.test(text) ? Number(text) : null;
}

// attacker-controlled: both files come from the image. Lines that are not well formed are skipped, as libc does.
function parsePasswd(text: string): PasswdEntry[] {
  const entries: PasswdEntry[] = [];
  for (const line of text.split('\n')) {
    const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
    const [uidNumber, gidNumber] = [parseId(uid), parseId(gid)];
    if (name === '' || uidNumber === null || gidNumber === null) continue;
    entries.push({ name, uid: uidNumber, gid: gidNumber, home: home.startsWith('/') ? home : '/' });
  }
  return entries;
}

function parseGroups(text: string): GroupEntry[] {
  const entries: GroupEntry[] = [];
  for (const line of text.split('\n')) {
    const [name = '', , gid = '', members = ''] = line.split(':');
    const gidNumber = parseId(gid);
    if (name !== '' && gidNumber !== null) entries.push({ name, gid: gidNumber, members: members.split(',') });
  }
  return entries;
}

/** Reads a file of the image, empty when it has none. */
function readAccountFile(rootDir: string, path: string): string {
  const descriptor = openInRoot(rootDir, path);
  if (descriptor === null) return '';
  try {
    const facts = fstatSync(descriptor);
    if (!facts.isFile() || facts.size > ACCOUNT_FILE_BYTES_MAX) {
      throw badUser(path, 'the account file is not a plain file of at most 1 MiB');
    }
    const buffer = Buffer.alloc(facts.size);
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, facts.size, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Opens `path` as a process chrooted to `rootDir` would: every symbolic link is taken relative to that root. */
function openInRoot(rootDir: string, path: string): number | null {
  const pending = path.split('/').filter((part) => part !== '');
  const walked: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const part = pending.shift() ?? '';
    if (part === '..') {
      walked.pop();
      continue;
    }
    if (part === '.' || part === '') continue;
    const target = linkTarget([rootDir, ...walked, part].join('/'));
    if (target === null) {
      walked.push(part);
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) throw badUser(path, 'it has too many symbolic links');
    if (target.startsWith('/')) walked.length = 0;
    pending.unshift(...target.split('/'));
  }
  return openPlain([rootDir, ...walked].join('/'));
}

function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch (error) {
    // EINVAL: not a link. ENOENT and ENOTDIR: the open that follows says so.
    if (['EINVAL', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return null;
    throw error;
  }
}

function openPlain(path: string): number | null {
  try {
    // The root is ours alone until the workload starts, so nothing can put a link here between the walk and the open;
    // O_NONBLOCK keeps a FIFO from holding us.
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return null;
    throw badUser(path, `it cannot be opened (${errnoOf(error) ?? 'unknown'})`);
  }
}

function badUser(user: string, why: string): SandboxError {
  return new SandboxError('SANDBOX_USER', `cannot run as '${user.slice(0, 80)}': ${why}`, {
    exit: exitStatus.usage,
    hint: 'Give a user that the image has, or a number: --user 1000:1000.',
  });
}
