// Reads what bpftrace prints: one JSON object a line, whose strings hold whatever a workload chose to be called.
import { type AuditEvent, type CallArchitecture, syscallName } from '../../behaviour/index.ts';
import { printable } from './printable.ts';
import { isWatchedPath } from './watched-path.ts';

const NAME_BYTES = 16;

/** What one line of output says. */
export type SensorLine =
  | { readonly kind: 'event'; readonly cgroupId: bigint; readonly event: AuditEvent }
  | { readonly kind: 'lost'; readonly events: number }
  | { readonly kind: 'other' };

const OTHER: SensorLine = { kind: 'other' };

/**
 * Parses one line of `bpftrace -f json`.
 *
 * @param line its bytes as latin1: names are bytes, not always UTF-8
 * @returns `other` for everything that is no event: output of ours alone is trusted to be well formed, and a line that is
 * not is dropped rather than guessed at
 */
export function parseSensorLine(line: string, timeMs: number, architecture: CallArchitecture): SensorLine {
  const message = parseMessage(line);
  if (message?.type === 'lost_events') {
    const data = message.data;
    const events = typeof data === 'object' && data !== null && 'events' in data ? Number(data.events) : Number.NaN;
    return { kind: 'lost', events: Number.isSafeInteger(events) && events > 0 ? events : 1 };
  }
  if (message?.type !== 'printf' || typeof message.data !== 'string') return OTHER;
  return parseEvent(message.data, timeMs, architecture);
}

const EVENT = /^(exec|connect|bind|open|refused|call) (\d{1,20}) (\d{1,10}) (-?\d{1,19}) /;

function parseEvent(text: string, timeMs: number, architecture: CallArchitecture): SensorLine {
  const head = EVENT.exec(text);
  if (head === null) return OTHER;
  const [whole, kind, cgroup, pid] = head;
  // The name is padded to a fixed width, so no byte in it can move the target.
  const comm = printable(text.slice(whole.length, whole.length + NAME_BYTES).trimEnd());
  const raw = text.slice(whole.length + NAME_BYTES);
  const about = aboutOf(kind ?? '', raw, architecture);
  if (about === null) return OTHER;
  return {
    kind: 'event',
    cgroupId: BigInt(cgroup ?? 0),
    event: { timeMs, kind: about.kind, comm, pid: Number(pid), target: about.target },
  };
}

function aboutOf(
  kind: string,
  raw: string,
  architecture: CallArchitecture,
): { kind: AuditEvent['kind']; target: string } | null {
  switch (kind) {
    case 'exec':
      return { kind, target: printable(raw) };
    case 'open':
      return { kind, target: `…/${printable(raw)}` };
    case 'refused':
      return isWatchedPath(raw) ? { kind: 'open', target: `${printable(raw)} (refused)` } : null;
    case 'call':
      return { kind, target: syscallName(Number(raw), architecture) };
    case 'connect':
    case 'bind':
      return { kind, target: raw.startsWith('unix:') ? printable(raw) : addressOf(raw) };
    default:
      return null;
  }
}

/** `10.1.2.3 47873` with the port in network order, to `10.1.2.3:443`. */
function addressOf(raw: string): string {
  const [host = '', port = '0'] = raw.split(' ');
  const swapped = Number(port);
  const number = ((swapped & 0xff) << 8) | (swapped >> 8);
  return host.includes(':') ? `[${host}]:${number}` : `${host}:${number}`;
}

function parseMessage(line: string): { readonly type?: unknown; readonly data?: unknown } | null {
  if (!line.startsWith('{')) return null;
  // bpftrace 0.17 writes the byte 0xc3 as \uffffffc3, eight digits where JSON has four.
  const repaired = line.replace(/\\(?:uffffff([0-9a-f]{2})|.)/g, (escape: string, byte: string | undefined) =>
    byte === undefined ? escape : `\\u00${byte}`,
  );
  try {
    const value: unknown = JSON.parse(repaired);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    // A line cut short by the end of the process; nothing depends on it.
    return null;
  }
}
