// Reads one record of the sensor's ring buffer: an audit event as the program in the kernel wrote it.
import { type AuditEvent, type CallArchitecture, syscallName } from '../../behaviour/index.ts';
import { attention, event as at, EXEC_EVENT } from '../bpf/sensor-layout.ts';
import { printable } from './printable.ts';
import { isWatchedPath } from './watched-path.ts';

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const IPV6_BYTES = 28;
const IPV4_BYTES = 8;

export interface RecordReader {
  readonly architecture: CallArchitecture;
  /** What is done about each call, by number. */
  readonly attention: Uint8Array;
  /** The time of day at the kernel's monotonic nanosecond 0. */
  readonly bootMs: number;
}

/** An event and whose it is. */
export interface AuditRecord {
  readonly cgroupId: bigint;
  readonly event: AuditEvent;
}

/** Reads a record; null for an open that turns out to be of no watched path. */
export function parseAuditRecord(record: Buffer, reader: RecordReader): AuditRecord | null {
  if (record.length < at.bytes) return null;
  const call = record.readUInt32LE(at.call);
  const about =
    call === EXEC_EVENT ? { kind: 'exec' as const, target: textOf(record) } : aboutCall(record, call, reader);
  if (about === null) return null;
  const comm = record.toString('latin1', at.comm, at.comm + at.commBytes).replace(/\0.*$/s, '');
  return {
    cgroupId: record.readBigUInt64LE(at.cgroup),
    event: {
      timeMs: Math.round(reader.bootMs + Number(record.readBigUInt64LE(at.time)) / 1e6),
      comm: printable(comm),
      pid: record.readUInt32LE(at.pid),
      ...about,
    },
  };
}

type About = Pick<AuditEvent, 'kind' | 'target' | 'detail'>;

function aboutCall(record: Buffer, call: number, { architecture, attention: table }: RecordReader): About | null {
  switch (table[call]) {
    case attention.connect:
      return { kind: 'connect', target: addressOf(record) };
    case attention.bind:
      return { kind: 'bind', target: addressOf(record) };
    case attention.open:
    case attention.openAt:
      return aboutOpen(record);
    default:
      return { kind: 'call', target: syscallName(call, architecture), detail: detailOf(record) };
  }
}

function aboutOpen(record: Buffer): About | null {
  if (record.readBigInt64LE(at.result) >= 0n) {
    return { kind: 'open', target: `…/${textOf(record)}/${printable(textAt(record, at.name, at.nameBytes))}` };
  }
  const path = textAt(record, at.text, at.textBytes);
  return isWatchedPath(path) ? { kind: 'open', target: `${printable(path)} (refused)` } : null;
}

/** `0x7e020000 0x0 0x0 0x0 = -1 /proc`: four arguments, the result, and the path if the call has one. */
function detailOf(record: Buffer): string {
  const words = [0, 1, 2, 3].map((index) => `0x${record.readBigUInt64LE(at.arguments + 8 * index).toString(16)}`);
  const path = textOf(record);
  return `${words.join(' ')} = ${record.readBigInt64LE(at.result)}${path === '' ? '' : ` ${path}`}`.slice(0, 256);
}

function addressOf(record: Buffer): string {
  const bytes = record.subarray(at.text, at.text + Math.min(record.readUInt32LE(at.textBytes), at.textMax));
  const family = bytes.length < 2 ? 0 : bytes.readUInt16LE(0);
  if (family === AF_UNIX) {
    return `unix:${printable(bytes.toString('latin1', 2).replace(/(?<=.)\0.*$/s, ''))}`;
  }
  if (family === AF_INET && bytes.length >= IPV4_BYTES) {
    return `${bytes.subarray(4, 8).join('.')}:${bytes.readUInt16BE(2)}`;
  }
  if (family === AF_INET6 && bytes.length >= IPV6_BYTES - 4) {
    return `[${ipv6Of(bytes.subarray(8, 24))}]:${bytes.readUInt16BE(2)}`;
  }
  return 'an unreadable address';
}

/** The shortest form, with mapped IPv4 addresses as the kernel prints them. */
function ipv6Of(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function textOf(record: Buffer): string {
  return printable(textAt(record, at.text, at.textBytes));
}

/** A text with its final 0; an address that could not be read left an error in place of the length. */
function textAt(record: Buffer, place: number, lengthPlace: number): string {
  const bytes = record.readInt32LE(lengthPlace);
  if (bytes <= 1 || bytes > at.textMax) return '';
  return record.toString('latin1', place, place + bytes - 1);
}
