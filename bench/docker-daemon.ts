// A Docker engine for comparison, in a network namespace and folders of its own: what it does to links and filters, nobody else sees.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const START_MS_MAX = 30_000;
const END_MS_MAX = 20_000;
const POLL_MS = 50;

export interface DockerDaemon extends AsyncDisposable {
  /** Why there is none; null when it runs. */
  readonly reason: string | null;
  /** For `docker`, before its command. */
  readonly clientArguments: readonly string[];
  /** Makes an image of one layer from a folder. */
  importRoot(dir: string, name: string): void;
}

/** Starts it. */
export async function openDocker(): Promise<DockerDaemon> {
  if (spawnSync('dockerd', ['--version']).status !== 0) return absent('dockerd is not installed');
  const dir = mkdtempSync(join(tmpdir(), 'provost-docker-'));
  const socket = `unix://${join(dir, 'docker.sock')}`;
  const folders = ['--data-root', join(dir, 'data'), '--exec-root', join(dir, 'exec'), '--pidfile', join(dir, 'pid')];
  const daemon = spawn('unshare', ['--net', 'dockerd', ...folders, '-H', socket], { stdio: 'ignore' });
  const clientArguments = ['-H', socket];
  const end = async (): Promise<void> => {
    await endDaemon(daemon);
    rmSync(dir, { recursive: true, force: true });
  };
  if (!(await isUp(clientArguments, daemon))) {
    await end();
    return absent('dockerd did not start on this host');
  }
  return {
    reason: null,
    clientArguments,
    importRoot: (root, name) => {
      const tar = execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 1 << 28 });
      execFileSync('docker', [...clientArguments, 'import', '-', name], {
        input: tar,
        stdio: ['pipe', 'ignore', 'inherit'],
      });
    },
    [Symbol.asyncDispose]: end,
  };
}

function absent(reason: string): DockerDaemon {
  return { reason, clientArguments: [], importRoot: () => undefined, [Symbol.asyncDispose]: () => Promise.resolve() };
}

async function isUp(clientArguments: readonly string[], daemon: ChildProcess): Promise<boolean> {
  const deadline = performance.now() + START_MS_MAX;
  while (performance.now() < deadline && daemon.exitCode === null) {
    if (spawnSync('docker', [...clientArguments, 'info'], { stdio: 'ignore' }).status === 0) return true;
    await delay(POLL_MS);
  }
  return false;
}

async function endDaemon(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null) return;
  const ended = new Promise<'ended'>((resolve) => daemon.once('exit', () => resolve('ended')));
  daemon.kill('SIGTERM');
  if ((await Promise.race([ended, delay(END_MS_MAX, 'late')])) === 'late') {
    daemon.kill('SIGKILL');
    await ended;
  }
}
