import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { encodeBundle, parseBundle } from './entry-bundle.ts';
import { makeSignerKey, parseSignerKey } from './note-key.ts';
import { encodeReceipt, parseReceipt, verifyReceipt } from './receipt.ts';
import { checkpointText } from './checkpoint.ts';
import { signNote } from './signed-note.ts';
import { hashesAtLevel, parseTilePath, tilePath, tileWidth } from './tile-name.ts';
import { hashLeaf } from './tree-hash.ts';
import { encodeBatch, parseSegment } from './write-ahead.ts';

describe('the path of a tile', () => {
  it.each([
    [{ level: 0, index: 0, width: 256 }, 'tile/0/000'],
    [{ level: 0, index: 1_234_067, width: 256 }, 'tile/0/x001/x234/067'],
    [{ level: 'entries' as const, index: 999, width: 1 }, 'tile/entries/999.p/1'],
    [{ level: 63, index: 1000, width: 255 }, 'tile/63/x001/000.p/255'],
  ])('of %o is %s', (name, path) => {
    expect(tilePath(name)).toBe(path);
    expect(parseTilePath(path)).toEqual(name);
  });

  it('is read back from every name', () => {
    const names = fc.record({
      level: fc.oneof(fc.constant('entries' as const), fc.integer({ min: 0, max: 63 })),
      index: fc.nat({ max: 2 ** 50 }),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(
      fc.property(names, (name) => {
        expect(parseTilePath(tilePath(name))).toEqual(name);
      }),
    );
  });

  it.each([
    'tile/0/0',
    'tile/0/0000',
    'tile/00/000',
    'tile/64/000',
    'tile/0/x000/000',
    'tile/0/001/000',
    'tile/0/x001',
    'tile/0/000.p/0',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/0/000.p/',
    'tile/entries',
    'tile/-1/000',
    '/tile/0/000',
    'tile/0/000/../000',
    'tile/data/000',
    'tile/0/x999/x999/x999/x999/x999/999',
  ])('is none: %s', (path) => {
    expect(parseTilePath(path)).toBeNull();
  });

  it('has the width that a tree of the size gives it', () => {
    expect([hashesAtLevel(70_000, 1), tileWidth(70_000, 0, 273), tileWidth(70_000, 1, 0)]).toEqual([273, 112, 256]);
    expect([tileWidth(70_000, 'entries', 274), tileWidth(256, 1, 0)]).toEqual([0, 1]);
  });
});

describe('a bundle', () => {
  const entries = ['', 'a', 'x'.repeat(65_535)].map((text) => Buffer.from(text));

  it('gives its entries back, or the first of them', () => {
    expect(parseBundle(encodeBundle(entries), 3)).toEqual(entries);
    expect(parseBundle(encodeBundle(entries), 2)).toEqual(entries.slice(0, 2));
  });

  it.each([
    ['too few entries', encodeBundle(entries), 4],
    ['half a length', Buffer.from([0]), 1],
    ['an entry that is cut off', Buffer.from([0, 5, 1, 2]), 1],
    ['more entries than a bundle has', encodeBundle(Array.from({ length: 257 }, () => Buffer.from('e'))), 256],
  ])('is refused with %s', (_, bytes, width) => {
    expect(() => parseBundle(bytes, width)).toThrow(expect.objectContaining({ code: 'LEDGER_TILE', exit: 4 }));
  });
});

describe('a segment of batches', () => {
  const batches = [
    { first: 7, entries: [Buffer.from('a'), Buffer.from('')] },
    { first: 9, entries: [Buffer.from('c')] },
  ];
  const bytes = Buffer.concat(batches.map(encodeBatch));

  it('gives its batches back', () => {
    expect(parseSegment(bytes)).toEqual({ batches, end: bytes.length, rest: 'none' });
    expect(parseSegment(Buffer.alloc(0))).toEqual({ batches: [], end: 0, rest: 'none' });
  });

  it('is torn wherever the last write was cut, and damaged wherever a byte before the last batch was changed', () => {
    const second = encodeBatch(batches[0]!).length;
    for (let end = second + 1; end < bytes.length; end += 1)
      expect(parseSegment(bytes.subarray(0, end))).toMatchObject({ end: second, rest: 'torn' });
    for (let at = 0; at < second; at += 1) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(parseSegment(damaged), `byte ${at}`).toEqual({ batches: [], end: 0, rest: 'damaged' });
    }
  });

  it('is never thrown about, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        const { end } = parseSegment(Buffer.concat([bytes, noise]));
        expect(end).toBe(bytes.length);
      }),
    );
  });
});

describe('a receipt', () => {
  const signer = parseSignerKey(makeSignerKey('log.example'));
  const policy = { log: [signer.verifier], witnesses: [], quorum: 0 };
  const leafHash = hashLeaf(Buffer.from('only'));
  const checkpoint = signNote(checkpointText({ origin: 'log.example', size: 1, root: leafHash, extensions: [] }), [
    signer,
  ]);
  const receipt = { index: 0, proof: [], extra: Buffer.from('out of band'), checkpoint };
  const text = encodeReceipt(receipt).toString();

  it('is read back, with what its user added, and verified', () => {
    expect(parseReceipt(Buffer.from(text))).toEqual(receipt);
    expect(verifyReceipt(Buffer.from(text), leafHash, policy)).toMatchObject({ index: 0, checkpoint: { size: 1 } });
  });

  it.each([
    ['nothing', ''],
    ['another first line', text.replace('@v1', '@v2')],
    ['no index', text.replace('index 0\n', '')],
    ['an index with a zero before it', text.replace('index 0', 'index 00')],
    ['an index beyond what is handled', text.replace('index 0', 'index 9007199254740993')],
    ['a hash that is none', text.replace('index 0\n', 'index 0\nAAAA\n')],
    ['a hash that is no base64', text.replace('index 0\n', 'index 0\n!\n')],
    ['too many hashes', text.replace('index 0\n', `index 0\n${`${leafHash.toString('base64')}\n`.repeat(64)}`)],
    ['an addition that is no base64', text.replace('extra ', 'extra !')],
    ['an addition after the index', text.replace(/(extra .*\n)(index 0\n)/, '$2$1')],
    ['too many bytes', text + 'x'.repeat(200_000)],
  ])('with %s is refused', (_, bytes) => {
    expect(() => parseReceipt(Buffer.from(bytes))).toThrow(
      expect.objectContaining({ code: 'LEDGER_RECEIPT', exit: 4 }),
    );
  });
});
