// A repository with signing keys in a folder of its own, made by git, ssh-keygen and gpg themselves: what they say is what the code is held to.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type SshKeyType = 'ed25519' | 'ecdsa' | 'ecdsa-384' | 'ecdsa-521' | 'rsa' | 'rsa-1024';

const KEYGEN_ARGS: Readonly<Record<SshKeyType, readonly string[]>> = {
  ed25519: ['-t', 'ed25519'],
  ecdsa: ['-t', 'ecdsa', '-b', '256'],
  'ecdsa-384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa-521': ['-t', 'ecdsa', '-b', '521'],
  rsa: ['-t', 'rsa', '-b', '2048'],
  'rsa-1024': ['-t', 'rsa', '-b', '1024'],
};

/** A key pair made by ssh-keygen. */
export interface SshKeyFile {
  readonly path: string;
  /** The public part, as one line without a comment. */
  readonly line: string;
}

export interface RunResult {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A working tree in a temporary folder; `git` there reads no configuration of the host. */
export class GitFixture implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), 'provost-git-'));
  readonly dir = join(this.root, 'tree');
  readonly allowedSigners = join(this.root, 'allowed_signers');
  readonly #env: NodeJS.ProcessEnv;

  constructor(format: 'sha1' | 'sha256' = 'sha1') {
    const gnupg = join(this.root, 'gnupg');
    mkdirSync(gnupg, { mode: 0o700 });
    this.#env = {
      PATH: process.env['PATH'],
      HOME: this.root,
      GNUPGHOME: gnupg,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      TZ: 'UTC',
      LC_ALL: 'C.UTF-8',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.com',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.com',
    };
    writeFileSync(this.allowedSigners, '');
    this.run('git', ['init', '-q', '-b', 'main', `--object-format=${format}`, this.dir], { cwd: this.root });
    this.git('config', 'gpg.ssh.allowedSignersFile', this.allowedSigners);
    this.git('config', 'gc.auto', '0');
  }

  [Symbol.dispose](): void {
    // gpg leaves an agent that holds its folder.
    spawnSync('gpgconf', ['--kill', 'all'], { env: this.#env });
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Runs a command and gives its end, whatever it is. */
  try(
    command: string,
    args: readonly string[],
    { input, env, cwd }: { input?: Buffer | string; env?: Record<string, string>; cwd?: string } = {},
  ): RunResult {
    const options = { cwd: cwd ?? this.dir, env: { ...this.#env, ...env }, input: input ?? '', maxBuffer: 2 ** 28 };
    const { status, stdout, stderr, error } = spawnSync(command, args, options);
    if (error !== undefined) throw error;
    return { status, stdout, stderr: stderr.toString() };
  }

  /** Runs a command that must succeed. */
  run(...[command, args, options]: Parameters<GitFixture['try']>): Buffer {
    const { status, stdout, stderr } = this.try(command, args, options);
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${stderr}`);
    return stdout;
  }

  git(...args: readonly string[]): string {
    return this.run('git', args).toString().trim();
  }

  makeSshKey(type: SshKeyType, name: string = type): SshKeyFile {
    const path = join(this.root, `key-${name}`);
    this.run('ssh-keygen', [...KEYGEN_ARGS[type], '-q', '-N', '', '-C', '', '-f', path]);
    return { path, line: readFileSync(`${path}.pub`, 'utf8').trim() };
  }

  /** A key of gpg without passphrase; its fingerprint. */
  makeGpgKey(userId: string, algorithm = 'ed25519', expire = 'never'): string {
    const args = ['--batch', '--passphrase', '', '--quick-gen-key', userId, algorithm, 'sign', expire];
    const { stderr } = this.try('gpg', ['--status-fd', '2', ...args]);
    const fingerprint = /KEY_CREATED \S+ ([0-9A-F]{40})/.exec(stderr)?.[1];
    if (fingerprint === undefined) throw new Error(`gpg made no key: ${stderr}`);
    return fingerprint;
  }

  exportGpgKey(fingerprint: string): string {
    return this.run('gpg', ['--armor', '--export', fingerprint]).toString();
  }

  allow(...lines: readonly string[]): string {
    const text = lines.map((line) => `${line}\n`).join('');
    writeFileSync(this.allowedSigners, text);
    return text;
  }

  /** Commits all files; signed by an SSH key, by gpg, or not. The id. */
  commit(message: string, signer: SshKeyFile | string | null = null, env: Record<string, string> = {}): string {
    const isSsh = signer !== null && typeof signer !== 'string';
    const key = isSsh ? signer.path : signer;
    const format = isSsh ? ['-c', 'gpg.format=ssh'] : [];
    const sign = key === null ? ['--no-gpg-sign'] : [`-S${key}`];
    this.git('add', '-A');
    this.run('git', [...format, 'commit', '-q', '--allow-empty', ...sign, '-m', message], { env });
    return this.git('rev-parse', 'HEAD');
  }

  readCommit(id: string): Buffer {
    return this.run('git', ['cat-file', 'commit', id]);
  }

  /** Writes any bytes as a commit object. The id. */
  writeCommit(content: Buffer): string {
    const args = ['hash-object', '-t', 'commit', '-w', '--stdin', '--literally'];
    return this.run('git', args, { input: content }).toString().trim();
  }

  /** Whether git itself takes the commit's signature for good. */
  isVerified(id: string): boolean {
    return this.try('git', ['verify-commit', id]).status === 0;
  }

  /** Whether git itself takes the commit for well formed. */
  isWellFormed(id: string): boolean {
    const { stderr } = this.try('git', ['fsck', '--no-dangling', '--no-progress', id]);
    return !stderr.split('\n').some((line) => line.startsWith('error') && line.includes(id));
  }

  sshSign(payload: Buffer, key: SshKeyFile, namespace = 'git', ...more: readonly string[]): Buffer {
    return this.run('ssh-keygen', ['-Y', 'sign', '-n', namespace, '-f', key.path, ...more], { input: payload });
  }
}

/** Puts an armored signature into a commit, as its last header. */
export function withSignature(payload: Buffer, armored: Buffer, header = 'gpgsig'): Buffer {
  const gap = payload.indexOf('\n\n');
  const indented = armored.toString('latin1').trimEnd().replaceAll('\n', '\n ');
  const lines = Buffer.from(`\n${header} ${indented}`, 'latin1');
  return Buffer.concat([payload.subarray(0, gap), lines, payload.subarray(gap)]);
}
