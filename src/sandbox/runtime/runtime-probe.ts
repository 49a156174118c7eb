// Whether a runtime works on this host: found out by running it once, with a time limit, on a program of 132 bytes.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rmSync, writeFileSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import type { Probe } from '../driver.ts';
import type { OciConfig } from './oci-spec.ts';

export interface RuntimeCandidate {
  readonly path: string;
  /** Global arguments of the runtime. */
  readonly arguments: readonly string[];
  /** What it is, for `doctor`: `gVisor, systrap`. */
  readonly detail: string;
}

/** Far above what a start takes under load, and short enough that `doctor` does not seem stuck. `kvm` hangs on some hosts. */
const PROBE_TIMEOUT_MS = 15_000;
const OUTPUT_BYTES_MAX = 16 * 1024;

/** Where a command lies: in PATH, else in Debian's folders for administration. */
export function findInPath(name: string): string[] {
  const folders = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
  ];
  return [...new Set(folders)].map((folder) => join(folder, name)).filter(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Missing or not executable: either way it is no candidate.
    return false;
  }
}

/** What names one build of a runtime: a probe of it holds until the file changes. */
export function probeKey(candidate: RuntimeCandidate): string {
  const facts = statSync(candidate.path);
  return [candidate.path, facts.mtimeMs, facts.size, ...candidate.arguments].join('|');
}

const PROBE_FOLDERS: readonly string[] = [tmpdir(), '/tmp', '/var/tmp'];

/** Whether a user who owns nothing reaches what lies in a folder: a temporary folder of root alone keeps a workload's root out. */
function letsOthersThrough(folder: string): boolean {
  const above = dirname(folder);
  return (statSync(folder).mode & 0o001) !== 0 && (above === folder || letsOthersThrough(above));
}

/**
 * Runs `candidate` on a bundle of its own, with the user namespace, filter and mounts that workloads get, and removes
 * what it left, also when it hangs.
 */
export async function probeRuntime(
  candidate: RuntimeCandidate,
  config: (rootDir: string, id: string) => OciConfig,
): Promise<Probe> {
  const dir = mkdtempSync(join(PROBE_FOLDERS.find(letsOthersThrough) ?? tmpdir(), 'provost-probe-'));
  // The runtime looks at the root as the workload's root, who is nobody here.
  chmodSync(dir, 0o711);
  const id = `probe-${randomBytes(6).toString('hex')}`;
  const root = [`--root=${join(dir, 'runtime')}`, ...candidate.arguments];
  try {
    writeBundle(dir, (rootDir) => config(rootDir, id));
    const version = await runLimited(candidate.path, ['--version']);
    const run = await runLimited(candidate.path, [...root, 'run', '--bundle', dir, id]);
    if (run.isTimeout) return broken(candidate, `it hung for ${PROBE_TIMEOUT_MS} ms`);
    if (run.code !== PROBE_EXIT) return broken(candidate, run.output.trim().split('\n').at(-1) ?? `exit ${run.code}`);
    return { ok: true, path: candidate.path, version: firstLine(version.output), detail: candidate.detail };
  } finally {
    endProcessesOf(dir);
    await runLimited(candidate.path, [...root, 'delete', '--force', id]);
    rmSync(dir, { recursive: true, force: true });
  }
}

/** What the probe's program exits with: no runtime does so by itself. */
const PROBE_EXIT = 42;

function writeBundle(dir: string, config: (rootDir: string) => OciConfig): void {
  const rootDir = join(dir, 'root');
  for (const folder of ['', 'proc', 'sys', 'dev']) mkdirSync(join(rootDir, folder), { recursive: true, mode: 0o755 });
  writeFileSync(join(rootDir, 'probe'), probeProgram(), { mode: 0o755 });
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config(rootDir)));
}

/** An ELF program that does nothing but exit(42): no host file is needed to find out whether programs run. */
export function probeProgram(): Buffer {
  const isArm = process.arch === 'arm64';
  // x86-64: mov eax, 60; mov edi, 42; syscall. arm64: mov x8, #93; mov x0, #42; svc #0.
  const code = Buffer.from(isArm ? 'a80b80d2400580d2010000d4' : 'b83c000000bf2a0000000f05', 'hex');
  const [base, headerBytes, segmentBytes] = [0x400000n, 64, 56];
  const size = BigInt(headerBytes + segmentBytes + code.length);
  const elf = Buffer.alloc(Number(size));
  elf.write('7f454c46020101', 0, 'hex');
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(isArm ? 183 : 62, 18); // EM_AARCH64, EM_X86_64
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(base + BigInt(headerBytes + segmentBytes), 24); // entry
  elf.writeBigUInt64LE(BigInt(headerBytes), 32); // program headers
  elf.writeUInt16LE(headerBytes, 52);
  elf.writeUInt16LE(segmentBytes, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64); // PT_LOAD
  elf.writeUInt32LE(5, 68); // readable and executable
  elf.writeBigUInt64LE(base, 80);
  elf.writeBigUInt64LE(base, 88);
  elf.writeBigUInt64LE(size, 96);
  elf.writeBigUInt64LE(size, 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  code.copy(elf, headerBytes + segmentBytes);
  return elf;
}

export interface LimitedRun {
  readonly code: number | null;
  readonly output: string;
  readonly isTimeout: boolean;
}

/** A command in its own process group. */
export interface GroupedRun {
  /** Its end; when that does not come in time, the whole group is ended. */
  within(timeoutMs: number): Promise<LimitedRun>;
  /** How its first thread ranks against others for CPU: `os.constants.priority`. */
  setPriority(priority: number): void;
  /** Ends the whole group. */
  kill(): void;
}

/** Runs a command in its own process group and ends the whole group when the time is over. */
export function runLimited(path: string, args: readonly string[], timeoutMs = PROBE_TIMEOUT_MS): Promise<LimitedRun> {
  return startGrouped(path, args).within(timeoutMs);
}

/** Starts a command in its own process group. */
export function startGrouped(path: string, args: readonly string[]): GroupedRun {
  const child: ChildProcess = spawn(path, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let [isTimeout, hasEnded] = [false, false];
  const take = (chunk: Buffer): void => {
    if (output.length < OUTPUT_BYTES_MAX) output += chunk.toString('utf8');
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const ended = new Promise<LimitedRun>((resolve) => {
    const finish = (code: number | null): void => {
      hasEnded = true;
      resolve({ code, output, isTimeout });
    };
    child.once('error', (error) => {
      output += error.message;
      finish(null);
    });
    child.once('exit', finish);
  });
  return {
    within: async (timeoutMs) => {
      const timer = setTimeout(() => {
        isTimeout = true;
        endGroup(child.pid);
        // A grandchild may hold the pipes: what was said until now is the answer.
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, timeoutMs);
      try {
        return await ended;
      } finally {
        clearTimeout(timer);
      }
    },
    setPriority: (priority) => {
      if (!hasEnded && child.pid !== undefined) setPriority(child.pid, priority);
    },
    kill: () => {
      if (!hasEnded) endGroup(child.pid);
    },
  };
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: it has ended by itself in the meantime.
    if (!(error instanceof Error) || !error.message.includes('ESRCH')) throw error;
  }
}

/** Ends what a hung runtime left: the processes whose command line names the probe's own folder, which no other has. */
function endProcessesOf(dir: string): void {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    if (commandLine(entry).includes(dir)) endProcess(Number(entry));
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error) || !error.message.includes('ESRCH')) throw error;
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // The process has ended since the folder was listed: nothing to end.
    return '';
  }
}

function broken(candidate: RuntimeCandidate, why: string): Probe {
  return {
    ok: false,
    reason: `${candidate.path} (${candidate.detail}) does not run here: ${why.slice(0, 300)}`,
    hint: 'Run scripts/setup, which installs a runtime that works on this host.',
  };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
