// Writes ASN.1 in DER, as far as tests need it to make certificates and timestamps of their own.

const TAGS = {
  integer: 0x02,
  bitString: 0x03,
  octets: 0x04,
  oid: 0x06,
  text: 0x0c,
  utcTime: 0x17,
  generalTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  name: 0x86,
} as const;

/** One element: a tag by its name, or `[n]` by its byte. */
export function der(tag: keyof typeof TAGS | number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([typeof tag === 'number' ? tag : TAGS[tag]]), lengthOf(value.length), value]);
}

/** A context-specific, constructed tag. */
export function context(number: number, ...parts: readonly Uint8Array[]): Buffer {
  return der(0xa0 + number, ...parts);
}

export function derInteger(value: number): Buffer {
  return der('integer', Buffer.from([value]));
}

export function derOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return der('oid', Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

/** `YYMMDDHHMMSSZ`. */
export function derTime(ms: number): Buffer {
  return der('utcTime', Buffer.from(digitsOf(ms).slice(2)));
}

export function derGeneralTime(ms: number): Buffer {
  return der('generalTime', Buffer.from(digitsOf(ms)));
}

function digitsOf(ms: number): string {
  return `${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
}

function base128(value: number): number[] {
  const low = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) low.unshift((rest & 0x7f) | 0x80);
  return low;
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  return length < 0x100 ? Buffer.from([0x81, length]) : Buffer.from([0x82, length >>> 8, length & 0xff]);
}
