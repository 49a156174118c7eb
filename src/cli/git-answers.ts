// What git says of a work tree. It is asked with nothing switched on that a repository's own configuration could run.
import { exitStatus } from '../base/index.ts';
import type { WorkTreeGit } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { ask } from './command-runner.ts';
import { printable } from './output.ts';

const SAFE = ['--no-optional-locks', '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];
/** A large work tree on a slow disk. */
const TIMEOUT_MS = 10 * 60_000;

/** Answers by the `git` of this host. */
export const gitAnswers: WorkTreeGit = {
  changed: async (top) => {
    const args = [
      'status',
      '--porcelain=v1',
      '-z',
      '--untracked-files=normal',
      '--no-renames',
      '--ignore-submodules=none',
    ];
    return (await askGit(top, args)).split('\0').flatMap((line) => (line === '' ? [] : [line.slice(3)]));
  },
  tracked: async (top) => (await askGit(top, ['ls-files', '-z'])).split('\0').filter((path) => path !== ''),
  remote: async (top) => {
    const answer = await ask('git', [...SAFE, 'config', '--get', 'remote.origin.url'], {
      cwd: top,
      timeoutMs: TIMEOUT_MS,
    });
    return answer?.status === 0 ? answer.stdout.trim() : null;
  },
};

async function askGit(top: string, args: readonly string[]): Promise<string> {
  const answer = await ask('git', [...SAFE, ...args], { cwd: top, timeoutMs: TIMEOUT_MS });
  if (answer?.status === 0) return answer.stdout;
  const why = answer === null ? 'it is not installed' : answer.stderr.trim().split('\n')[0] || 'it was ended';
  throw new CliError('CLI_GIT', `git cannot say what is in ${top}: ${printable(why)}`, {
    exit: exitStatus.unavailable,
    hint: 'See that git is installed and that git status works there.',
  });
}
