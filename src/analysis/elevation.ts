// base.setuid: programs that give whoever runs them the rights of another user, or capabilities.
import type { LayerFacts } from '../artifact/index.ts';
import type { Judgement } from './hygiene.ts';
import { reachablePaths } from './reachable-paths.ts';

/**
 * Setuid and setgid programs of the base and everyday packages of Debian, Ubuntu, Fedora and Alpine: expected, audited, and
 * made powerless by noNewPrivileges; but a need of few services.
 *
 * @source `find / -perm /6000` on Debian 12, and the distributions' file lists of login, util-linux, sudo, cron, openssh, fuse,
 * polkit, pam, busybox-suid
 */
const STOCK_PROGRAMS: ReadonlySet<string> = new Set([
  'bbsuid',
  'chage',
  'chfn',
  'chsh',
  'crontab',
  'dbus-daemon-launch-helper',
  'dotlockfile',
  'expiry',
  'fusermount',
  'fusermount3',
  'gpasswd',
  'mount',
  'newgidmap',
  'newgrp',
  'newuidmap',
  'pam_extrausers_chkpwd',
  'pam_timestamp_check',
  'passwd',
  'pkexec',
  'polkit-agent-helper-1',
  'ssh-agent',
  'ssh-keysign',
  'su',
  'sudo',
  'umount',
  'unix_chkpwd',
  'utempter',
  'wall',
  'write',
]);

/** Where distributions put programs; the same name elsewhere is not the distribution's. */
const STOCK_FOLDER = /^(usr\/)?(s?bin|lib|libexec)\//;

/** With stock programs alone: a little lower than without any. */
const STOCK_SCORE = 0.8;

/** What each further program costs: three take a stock image below half. */
const UNEXPECTED_COST = 0.2;

/** Judges setuid and setgid files and file capabilities that are reachable in the whole image. */
export function judgeElevation(facts: readonly LayerFacts[]): Judgement {
  const setuid = reachablePaths(facts, (layer) => layer.setuid);
  const capable = reachablePaths(facts, (layer) => layer.capabilities);
  const unlisted = setuid.unlisted + capable.unlisted;
  const all = [...new Set([...setuid.paths, ...capable.paths])].sort();
  const unexpected = all.filter((path) => !isStock(path));
  const count = unexpected.length + unlisted;
  if (all.length + unlisted === 0) return { score: 1, reason: 'no setuid files and no file capabilities' };
  if (count === 0)
    return { score: STOCK_SCORE, reason: `${all.length} setuid files, all stock programs of a distribution` };
  const example = unexpected[0] === undefined ? '' : `, such as /${unexpected[0].slice(0, 80)}`;
  const score = Math.max(0, STOCK_SCORE - UNEXPECTED_COST * count);
  return { score, reason: `${count} setuid files or file capabilities that no stock image has${example}` };
}

function isStock(path: string): boolean {
  return STOCK_FOLDER.test(path) && STOCK_PROGRAMS.has(path.slice(path.lastIndexOf('/') + 1));
}
