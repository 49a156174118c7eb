import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Attribute, eachAttribute, readAttributes, text, textOf, u32, writeAttributes } from './attributes.ts';

const flat = fc.array(
  fc.tuple(
    fc.nat(0x3fff),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  ),
  { maxLength: 12 },
);

describe('netlink attributes', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(flat, (attributes) => {
        const found: Attribute[] = [];
        eachAttribute(writeAttributes(attributes), (type, value) => found.push([type, Buffer.from(value)]));
        expect(found).toEqual(attributes);
      }),
    );
  });

  it('nest, each padded to four bytes', () => {
    const bytes = writeAttributes([
      [
        1,
        [
          [2, text('a')],
          [3, u32(7)],
        ],
      ],
    ]);
    expect(bytes.length % 4).toBe(0);
    const inner = readAttributes(readAttributes(bytes).get(1) ?? Buffer.alloc(0));
    expect(textOf(inner.get(2))).toBe('a');
    expect(inner.get(3)?.readUInt32LE(0)).toBe(7);
  });

  it('end at the first malformed one, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        let seen = 0;
        eachAttribute(Buffer.from(bytes), (_, value) => (seen += value.length));
        expect(seen).toBeLessThanOrEqual(bytes.length);
      }),
    );
    expect(readAttributes(Buffer.from([3, 0, 1, 0])).size).toBe(0);
    expect(readAttributes(Buffer.from([99, 0, 1, 0])).size).toBe(0);
  });

  it('read a text up to its first zero, or whole without one', () => {
    expect(textOf(Buffer.from('ab\0cd'))).toBe('ab');
    expect(textOf(Buffer.from('ab'))).toBe('ab');
    expect(textOf(undefined)).toBe('');
  });
});
