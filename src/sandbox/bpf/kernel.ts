// The bpf(2) system call: makes maps, loads programs and attaches them. All of it goes when its descriptors are closed, at the latest with our process.
import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;

// Commands of bpf(2), from <linux/bpf.h>.
const MAP_CREATE = 0;
const PROG_LOAD = 5;
const OBJECT_INFO = 15;
const RAW_TRACEPOINT_OPEN = 17;

const TYPE_ARRAY = 2;
const TYPE_RING_BUFFER = 27;
/** The value can be mapped into our memory: a read is no system call. */
const MAPPABLE = 1 << 10;

const PROGRAM_TRACING = 26;
const ATTACH_RAW_TRACEPOINT = 23;
/** What the verifier says when it refuses; the end of it has the reason. */
const LOG_BYTES = 1 << 20;
const LOG_TAIL_CHARACTERS = 2000;
const NAME_BYTES_MAX = 15;
const EAGAIN = 11;
const ATTEMPTS_MAX = 10;
/** Helpers that read a process's memory are for programs under a licence that is compatible with the kernel's. */
const LICENCE = 'GPL';

const libc = koffi.load(null);
// On both architectures Linux passes variadic integers and pointers as fixed ones.
const syscall = libc.func('long syscall(long number, long command, void *attributes, unsigned long size)');

/** What a map is made of; an array has one value of so many bytes. */
export type MapShape =
  | { readonly kind: 'array'; readonly name: string; readonly valueBytes: number }
  /** `bytes` is a power of two and whole pages. */
  | { readonly kind: 'ring'; readonly name: string; readonly bytes: number };

/** A descriptor that is closed once. */
export interface Descriptor extends Disposable {
  readonly number: number;
}

/**
 * Makes a map.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 */
export function createMap(shape: MapShape): Descriptor {
  const isArray = shape.kind === 'array';
  // bpf_attr: type, key size, value size, entries, flags, inner map, NUMA node, name.
  const attributes = Buffer.alloc(48);
  attributes.writeUInt32LE(isArray ? TYPE_ARRAY : TYPE_RING_BUFFER, 0);
  attributes.writeUInt32LE(isArray ? 4 : 0, 4);
  attributes.writeUInt32LE(isArray ? shape.valueBytes : 0, 8);
  attributes.writeUInt32LE(isArray ? 1 : shape.bytes, 12);
  attributes.writeUInt32LE(isArray ? MAPPABLE : 0, 16);
  attributes.write(shape.name, 28, NAME_BYTES_MAX, 'latin1');
  return descriptorOf(bpf(MAP_CREATE, attributes, `make the map '${shape.name}'`));
}

export interface ProgramSource {
  readonly name: string;
  readonly slots: Buffer;
  /** Id of the tracepoint's type (`btf_trace_…`) in the kernel's BTF. */
  readonly tracepointType: number;
}

/**
 * Loads a program for a raw tracepoint and attaches it.
 *
 * @returns two descriptors; closing the second detaches it
 * @throws SandboxError SANDBOX_SENSOR when the verifier refuses (its reason is in `details.log`) or the kernel does
 */
export function attachProgram(source: ProgramSource): { readonly program: Descriptor; readonly link: Descriptor } {
  const program = descriptorOf(loadProgram(source));
  try {
    // bpf_attr.raw_tracepoint: name (none: the program says where it belongs), descriptor.
    const attributes = Buffer.alloc(24);
    attributes.writeUInt32LE(program.number, 8);
    const link = descriptorOf(bpf(RAW_TRACEPOINT_OPEN, attributes, `attach the program '${source.name}'`));
    return { program, link };
  } catch (error) {
    program[Symbol.dispose]();
    throw error;
  }
}

function loadProgram(source: ProgramSource): number {
  // The verifier gives up when a signal comes in between; then it is asked again.
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const loaded = tryLoad(source, null);
    if (loaded >= 0) return loaded;
    if (loaded !== -EAGAIN) break;
  }
  // The log costs milliseconds, so it is only asked for when there is something to explain.
  const log = Buffer.alloc(LOG_BYTES);
  const loaded = tryLoad(source, log);
  if (loaded >= 0) return loaded;
  const text = log.toString('latin1', 0, Math.max(0, log.indexOf(0)));
  throw refusal(`load the program '${source.name}'`, -loaded, { log: text.slice(-LOG_TAIL_CHARACTERS) });
}

/** Returns a descriptor, or minus an errno. */
function tryLoad({ name, slots, tracepointType }: ProgramSource, log: Buffer | null): number {
  const licence = Buffer.from(`${LICENCE}\0`, 'latin1');
  // bpf_attr of PROG_LOAD, as far as the id of the type that it is attached to.
  const attributes = Buffer.alloc(120);
  attributes.writeUInt32LE(PROGRAM_TRACING, 0);
  attributes.writeUInt32LE(slots.length / 8, 4);
  attributes.writeBigUInt64LE(koffi.address(slots), 8);
  attributes.writeBigUInt64LE(koffi.address(licence), 16);
  if (log !== null) {
    attributes.writeUInt32LE(1, 24);
    attributes.writeUInt32LE(log.length, 28);
    attributes.writeBigUInt64LE(koffi.address(log), 32);
  }
  attributes.write(name, 48, NAME_BYTES_MAX, 'latin1');
  attributes.writeUInt32LE(ATTACH_RAW_TRACEPOINT, 68);
  attributes.writeUInt32LE(tracepointType, 108);
  return call(PROG_LOAD, attributes);
}

/** How often a program was to run while it already did, on one CPU; the kernel skips it then. */
export function missesOf(program: Descriptor): number {
  // struct bpf_prog_info up to recursion_misses.
  const info = Buffer.alloc(224);
  const request = Buffer.alloc(16);
  request.writeUInt32LE(program.number, 0);
  request.writeUInt32LE(info.length, 4);
  request.writeBigUInt64LE(koffi.address(info), 8);
  bpf(OBJECT_INFO, request, 'say what a program missed');
  return Number(info.readBigUInt64LE(208));
}

/**
 * Runs one command of bpf(2) on its attributes; `fine` is an errno that is no error.
 *
 * @returns the result, or minus that errno
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 */
export function bpf(command: number, attributes: Buffer, what: string, fine = 0): number {
  const result = call(command, attributes);
  if (result < 0 && -result !== fine) throw refusal(what, -result, { command });
  return result;
}

function call(command: number, attributes: Buffer): number {
  const result: unknown = syscall(SYS_BPF, command, attributes, attributes.length);
  return typeof result === 'number' && result >= 0 ? result : -koffi.errno();
}

function refusal(what: string, errno: number, details: Record<string, unknown>): SandboxError {
  return new SandboxError('SANDBOX_SENSOR', `the kernel refused to ${what} of the sensor: errno ${errno}`, {
    exit: exitStatus.unavailable,
    hint: 'Run as root on a kernel of 5.8 or later; `provost doctor` says what the sensor needs.',
    details: { errno, ...details },
  });
}

function descriptorOf(number: number): Descriptor {
  let isOpen = true;
  return {
    number,
    [Symbol.dispose]: () => {
      if (isOpen) closeSync(number);
      isOpen = false;
    },
  };
}
