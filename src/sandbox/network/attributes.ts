// The type-length-value attributes that every netlink message is made of: written from arrays, read into maps.

/** One attribute: its type, and its bytes or the attributes nested in it. */
export type Attribute = readonly [type: number, value: Buffer | readonly Attribute[]];

const HEADER_BYTES = 4;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

/** Writes attributes one after the other, each padded to four bytes. */
export function writeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(writeAttribute));
}

function writeAttribute([type, value]: Attribute): Buffer {
  const isNested = !Buffer.isBuffer(value);
  const payload = isNested ? writeAttributes(value) : value;
  const bytes = HEADER_BYTES + payload.length;
  const out = Buffer.alloc(align(bytes));
  out.writeUInt16LE(bytes, 0);
  out.writeUInt16LE(isNested ? type | NESTED : type, 2);
  payload.copy(out, HEADER_BYTES);
  return out;
}

/** Calls `visit` for each attribute in `bytes`; stops at the first malformed one. The kernel wrote them. */
export function eachAttribute(bytes: Buffer, visit: (type: number, value: Buffer) => void): void {
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = bytes.readUInt16LE(at);
    if (length < HEADER_BYTES || at + length > bytes.length) return;
    visit(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + HEADER_BYTES, at + length));
    at += align(length);
  }
}

/** The attributes in `bytes` by type; of a type that comes twice, the last. */
export function readAttributes(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  eachAttribute(bytes, (type, value) => found.set(type, value));
  return found;
}

/** A string with its closing zero byte. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

/** What {@link text} wrote, up to the first zero byte. */
export function textOf(bytes: Buffer | undefined): string {
  if (bytes === undefined) return '';
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

export function byte(value: number): Buffer {
  return Buffer.from([value]);
}

/** In the host's order (little-endian on every platform of ours), as rtnetlink wants it. */
export function u32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value >>> 0);
  return out;
}

function align(bytes: number): number {
  return (bytes + 3) & ~3;
}
