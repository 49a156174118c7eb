// One bpftrace process that cannot outlive ours: starts it, reads its lines, says why it ended.
import { type ChildProcess, spawn } from 'node:child_process';

/** Entries of each kernel map: 200 workloads of 160 different calls. Bounds the kernel's memory at about 4 MiB on two CPUs. */
export const MAP_ENTRIES_MAX = 32_768;
/** Bytes of a path that are kept; more do not fit on the stack that BPF has. */
const STRING_BYTES = '128';
/** Longest line that is read; ours have less than 2 KiB, escapes included. */
const LINE_BYTES_MAX = 16_384;
const STDERR_BYTES_MAX = 4096;

/**
 * Runs in sh after setpriv has tied it to our process: `$1` is our pid, the rest the command. Where tracefs is not
 * mounted, it is mounted in a mount namespace of this process alone, which lets go of all other mounts: it must not hold
 * a workload's disk open.
 */
const LAUNCH = `
[ "$PPID" = "$1" ] || exit 0
shift
for folder in /sys/kernel/tracing /sys/kernel/debug/tracing; do
  [ -e "$folder/events/raw_syscalls" ] && exec "$@"
done
exec unshare --mount --propagation private sh -c '
  while read -r _ _ _ _ point _; do
    case "$point" in
      /|/proc*|/sys*|/dev*|/usr*|/lib*|/nix*|/gnu*) ;;
      *) umount -l "$point" 2>/dev/null ;;
    esac
  done < /proc/self/mountinfo
  mount -t tracefs nodev /sys/kernel/tracing && exec "$@"
' sh "$@"
`;

export interface BpftraceOptions {
  readonly bpftracePath: string;
  readonly script: string;
  readonly onLine: (line: string) => void;
  /** Called once, when the process has ended or could not be started. */
  readonly onEnd: (reason: string) => void;
}

export interface BpftraceProcess {
  /** Pid of bpftrace itself (every step before it is an exec); 0 when it could not be started. */
  readonly pid: number;
  /** Ends it at once; its probes and maps go with it. */
  kill(): void;
}

/** Starts bpftrace with `script`. It gets SIGKILL from the kernel when our process ends, however that comes about. */
export function startBpftrace(options: BpftraceOptions): BpftraceProcess {
  const command = [options.bpftracePath, '-f', 'json', '-B', 'line', '-e', options.script];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'sh', '-c', LAUNCH, 'sh', `${process.pid}`, ...command], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      BPFTRACE_STRLEN: STRING_BYTES,
      BPFTRACE_MAX_STRLEN: STRING_BYTES,
      BPFTRACE_MAP_KEYS_MAX: `${MAP_ENTRIES_MAX}`,
      BPFTRACE_MAX_MAP_KEYS: `${MAP_ENTRIES_MAX}`,
    },
  });
  readLines(child, options.onLine);
  reportEnd(child, options.onEnd);
  return {
    pid: child.pid ?? 0,
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

function readLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = '';
  child.stdout?.setEncoding('latin1').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, LINE_BYTES_MAX);
    for (const line of lines) if (line !== '') onLine(line);
  });
}

function reportEnd(child: ChildProcess, onEnd: (reason: string) => void): void {
  let complaint = '';
  child.stderr?.setEncoding('latin1').on('data', (chunk: string) => {
    complaint = (complaint + chunk).slice(-STDERR_BYTES_MAX);
  });
  let ended = false;
  const end = (reason: string): void => {
    if (!ended) onEnd(reason);
    ended = true;
  };
  child.once('error', (error) => end(`it could not be started: ${error.message}`));
  child.once('close', (code, signal) => {
    end(`it ended with ${signal ?? `status ${code}`}${lastComplaint(complaint)}`);
  });
}

/** The last thing that bpftrace said, without the warning that it always prints where the memory lock limit is fixed. */
function lastComplaint(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.includes('RLIMIT_MEMLOCK'));
  const last = lines.find((line) => line.includes('ERROR')) ?? lines.at(-1);
  return last === undefined ? '' : `: ${last.trim().slice(0, 300)}`;
}
