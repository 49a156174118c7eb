// The kernel's description of its own types (BTF): where a field lies, and the id of a type. Everything else in it is skipped.
import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const BYTES_MAX = 64 * 1024 * 1024;
const DEPTH_MAX = 8;

// Kinds of types, from <linux/btf.h>.
const ARRAY = 3;
const STRUCT = 4;
const UNION = 5;
const ENUM = 6;
const TYPEDEF = 8;
const VOLATILE = 9;
const CONST = 10;
const RESTRICT = 11;
const FUNCTION_PROTO = 13;
const VARIABLE = 14;
const DATA_SECTION = 15;
const TAG = 17;
const ENUM64 = 19;
const INTEGER = 1;

/** Words (4 bytes) that follow the three of every type, by its kind: so many, and so many for each member. */
const FIXED_WORDS = new Uint8Array(32);
const MEMBER_WORDS = new Uint8Array(32);
for (const [kind, fixed, perMember] of [
  [INTEGER, 1, 0],
  [ARRAY, 3, 0],
  [STRUCT, 0, 3],
  [UNION, 0, 3],
  [ENUM, 0, 2],
  [FUNCTION_PROTO, 0, 2],
  [VARIABLE, 1, 0],
  [DATA_SECTION, 0, 3],
  [TAG, 1, 0],
  [ENUM64, 0, 3],
] as const) {
  FIXED_WORDS[kind] = fixed;
  MEMBER_WORDS[kind] = perMember;
}

const TRANSPARENT: ReadonlySet<number> = new Set([TYPEDEF, VOLATILE, CONST, RESTRICT]);

/** What is asked of the kernel's types. */
export interface KernelTypes {
  /** Id of the typedef of that name. @throws SandboxError SANDBOX_SENSOR when there is none */
  typedefId(name: string): number;
  /** Byte offset of a field, `f_path.dentry` of `file`; unnamed structs on the way are looked into. @throws SandboxError SANDBOX_SENSOR */
  offsetOf(struct: string, path: string): number;
}

/**
 * Reads BTF.
 *
 * @param bytes `/sys/kernel/btf/vmlinux`, at most 64 MiB
 * @throws SandboxError SANDBOX_SENSOR for bytes that are none
 * @source Documentation/bpf/btf.rst
 */
export function parseBtf(bytes: Buffer): KernelTypes {
  if (bytes.length < HEADER_BYTES || bytes.length > BYTES_MAX || bytes.readUInt16LE(0) !== MAGIC) {
    throw unreadable('it does not begin like BTF');
  }
  const headerBytes = bytes.readUInt32LE(4);
  const section = (at: number): Buffer => {
    const from = headerBytes + bytes.readUInt32LE(at);
    const length = bytes.readUInt32LE(at + 4);
    if (from + length > bytes.length) throw unreadable('it is cut short');
    return bytes.subarray(from, from + length);
  };
  const types = section(8);
  // A copy, so that the words are aligned.
  const words = new Uint32Array(types.length >> 2);
  Buffer.from(words.buffer).set(types.subarray(0, words.byteLength));
  return new TypeTable(words, section(16));
}

class TypeTable implements KernelTypes {
  readonly #words: Uint32Array;
  readonly #strings: Buffer;
  /** Where each type begins, by id; 0 is `void`. */
  readonly #starts: Uint32Array;
  readonly #count: number;

  constructor(words: Uint32Array, strings: Buffer) {
    this.#words = words;
    this.#strings = strings;
    this.#starts = new Uint32Array(Math.floor(words.length / 3) + 1);
    let id = 1;
    for (let at = 0; at + 2 < words.length; id += 1) {
      this.#starts[id] = at;
      const info = words[at + 1] ?? 0;
      const kind = (info >>> 24) & 31;
      at += 3 + (FIXED_WORDS[kind] ?? 0) + (MEMBER_WORDS[kind] ?? 0) * (info & 0xffff);
    }
    this.#count = id;
  }

  typedefId(name: string): number {
    return this.#find(name, TYPEDEF);
  }

  offsetOf(struct: string, path: string): number {
    let type = this.#find(struct, STRUCT);
    let offset = 0;
    for (const name of path.split('.')) {
      const member = this.#member(type, name, 0);
      if (member === null) throw unreadable(`'${struct}' has no '${path}'`);
      offset += member.offset;
      type = this.#plain(member.type);
    }
    return offset;
  }

  #find(name: string, kind: number): number {
    const place = this.#strings.indexOf(`\0${name}\0`, 0, 'latin1') + 1;
    for (let id = place > 0 ? 1 : this.#count; id < this.#count; id += 1) {
      const at = this.#starts[id] ?? 0;
      if (this.#words[at] === place && this.#kindAt(at) === kind) return id;
    }
    throw unreadable(`there is no '${name}'`);
  }

  #member(type: number, name: string, depth: number): { readonly offset: number; readonly type: number } | null {
    const at = this.#starts[type] ?? 0;
    const kind = this.#kindAt(at);
    if ((kind !== STRUCT && kind !== UNION) || depth > DEPTH_MAX) return null;
    const info = this.#words[at + 1] ?? 0;
    const hasBitFields = info >>> 31 === 1;
    for (let index = 0; index < (info & 0xffff); index += 1) {
      const [called = 0, memberType = 0, place = 0] = this.#words.subarray(at + 3 + index * 3, at + 6 + index * 3);
      const offset = (hasBitFields ? place & 0xffffff : place) / 8;
      if (called !== 0) {
        if (this.#isNamed(called, name)) return { offset, type: memberType };
        continue;
      }
      const inner = this.#member(memberType, name, depth + 1);
      if (inner !== null) return { offset: offset + inner.offset, type: inner.type };
    }
    return null;
  }

  /** The type behind typedefs and qualifiers. */
  #plain(type: number): number {
    let id = type;
    for (let step = 0; step < DEPTH_MAX && TRANSPARENT.has(this.#kindAt(this.#starts[id] ?? 0)); step += 1) {
      id = this.#words[(this.#starts[id] ?? 0) + 2] ?? 0;
    }
    return id;
  }

  #kindAt(at: number): number {
    return ((this.#words[at + 1] ?? 0) >>> 24) & 31;
  }

  #isNamed(place: number, name: string): boolean {
    const end = place + name.length;
    return this.#strings[end] === 0 && this.#strings.toString('latin1', place, end) === name;
  }
}

function unreadable(why: string): SandboxError {
  return new SandboxError('SANDBOX_SENSOR', `the kernel’s types cannot be read: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'Run a kernel that was built with CONFIG_DEBUG_INFO_BTF.',
  });
}
