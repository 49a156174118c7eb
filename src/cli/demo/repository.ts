// The repository of the demo: the sample project under one commit, which Ada signs with an SSH key of her own.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const PROJECT = fileURLToPath(new URL('../../../examples/shop', import.meta.url));
const AUTHOR = { name: 'Ada', email: 'ada@example.com' } as const;

export interface Repository {
  /** The work tree. */
  readonly dir: string;
  /** Git's list of allowed signers, and the list of publishers: both know Ada's key. */
  readonly allowedSigners: string;
  readonly identities: string;
  /** When it was committed: seconds since 1970. */
  readonly commitSeconds: number;
}

/** Makes the repository below `folder`. Neither reads the configuration of the host's git, nor leaves anything outside. */
export async function makeRepository(folder: string, signal: AbortSignal): Promise<Repository> {
  const at = (name: string): string => join(folder, name);
  const dir = at('shop');
  mkdirSync(folder, { recursive: true });
  cpSync(PROJECT, dir, { recursive: true, filter: (source) => !source.endsWith('/dist') });
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', at('ada')], { signal });
  const publicKey = readFileSync(at('ada.pub'), 'utf8').trim();
  writeFileSync(at('allowed-signers'), `${AUTHOR.email} ${publicKey}\n`);
  writeFileSync(
    at('publishers.json'),
    JSON.stringify([{ publisher: 'ada', sshKeys: [publicKey], emails: [AUTHOR.email] }]),
  );
  const env = { PATH: process.env['PATH'], HOME: folder, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  const settings = {
    'gpg.format': 'ssh',
    'user.signingkey': at('ada'),
    'user.name': AUTHOR.name,
    'user.email': AUTHOR.email,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  for (const args of [
    ['init', '-q', '-b', 'main'],
    ['add', '-A'],
    ['commit', '-q', '-S', '-m', 'A shop'],
  ]) {
    await run('git', [...flags, ...args], { cwd: dir, env, signal });
  }
  const { stdout } = await run('git', ['log', '-1', '--format=%ct'], { cwd: dir, env, signal });
  const commitSeconds = Number(stdout);
  return { dir, commitSeconds, allowedSigners: at('allowed-signers'), identities: at('publishers.json') };
}
