import { hash, randomBytes } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { BLOCK_BYTES, LANES, sha256Module } from './sha256-code.ts';
import { blocksOf, Sha256Lanes } from './sha256-lanes.ts';
import { TreeEdge } from './tree-edge.ts';
import { HASH_BYTES, hashLeaves, hashPerfect } from './tree-hash.ts';

const sha256 = (...parts: readonly Uint8Array[]): Buffer => hash('sha256', Buffer.concat(parts), 'buffer');
const leafOf = (entry: Uint8Array): Buffer => sha256(Buffer.of(0), entry);

function openLanes(): Sha256Lanes {
  const lanes = Sha256Lanes.open();
  if (lanes === null) throw new Error('this host hashes nothing side by side');
  return lanes;
}

function rootOf(hashes: Buffer): Buffer {
  if (hashes.length === HASH_BYTES) return hashes;
  const middle = hashes.length / 2;
  return sha256(Buffer.of(1), rootOf(hashes.subarray(0, middle)), rootOf(hashes.subarray(middle)));
}

describe('hashes side by side', () => {
  it('are those of OpenSSL for four entries of as many blocks, whatever was hashed before', () => {
    const lanes = openLanes();
    const fewBlocks = fc.integer({ min: 1, max: 12 }).chain((blocks) => {
      const [min, max] = [Math.max(0, (blocks - 1) * BLOCK_BYTES - 9), blocks * BLOCK_BYTES - 10];
      const entry = fc.uint8Array({ minLength: min, maxLength: max });
      const entries = fc.oneof(
        fc.array(entry, { minLength: LANES, maxLength: LANES }),
        entry.map((one) => Array.from({ length: LANES }, (_, lane) => one.map((byte) => byte ^ lane))),
      );
      return fc.record({ blocks: fc.constant(blocks), entries });
    });
    const check = ({ blocks, entries }: { readonly blocks: number; readonly entries: readonly Uint8Array[] }): void => {
      expect(entries.map(({ length }) => blocksOf(length))).toEqual(Array(LANES).fill(blocks));
      const hashes = Buffer.alloc(LANES * HASH_BYTES + 2, 0xee);
      lanes.leaves(entries, blocks, hashes, 1);
      const around = Buffer.of(0xee);
      expect(hashes).toEqual(Buffer.concat([around, ...entries.map(leafOf), around]));
    };
    fc.assert(fc.property(fewBlocks, check), { numRuns: 2000 });
  });

  it('are those of OpenSSL for subtrees of every width, one after the other in the same memory', () => {
    const lanes = openLanes();
    for (let round = 0; round < 50; round += 1) {
      for (let count = 1; count <= 256; count *= 2) {
        const hashes = randomBytes(count * HASH_BYTES);
        expect(lanes.perfect(hashes), hashes.toString('hex')).toEqual(rootOf(hashes));
      }
    }
  });

  // FIPS 180-2, appendix B, and the message without bytes, as messages of one entry: the code itself adds no prefix.
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    ['a'.repeat(5000), hash('sha256', 'a'.repeat(5000))],
  ])('are those of the standard for %j', async (text, expected) => {
    // Its interface is described where it is made.
    const { instance } = await instantiate(sha256Module());
    const { memory, messages } = instance.exports;
    const [bytes, blocks] = [Buffer.from(text), blocksOf(text.length - 1)];
    for (let lane = 0; lane < LANES; lane += 1) {
      const message = Buffer.from(memory.buffer, 16_384 + lane * blocks * BLOCK_BYTES, blocks * BLOCK_BYTES);
      message.set(bytes);
      message[bytes.length] = 0x80;
      message.writeUInt32BE(bytes.length * 8, message.length - 4);
    }
    messages(blocks * BLOCK_BYTES, blocks);
    expect(Buffer.from(memory.buffer, 4096, LANES * HASH_BYTES).toString('hex')).toBe(expected.repeat(LANES));
  });
});

interface HashingInstance {
  readonly instance: {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer };
      readonly messages: (bytes: number, blocks: number) => void;
    };
  };
}

function instantiate(code: Uint8Array): Promise<HashingInstance> {
  const { WebAssembly } = globalThis as unknown as {
    readonly WebAssembly: { readonly instantiate: (code: Uint8Array) => Promise<HashingInstance> };
  };
  return WebAssembly.instantiate(code);
}

describe('without the instructions, or with wrong ones', () => {
  it.each([
    ['no module', () => Uint8Array.of(1, 2, 3)],
    ['a module of something else', () => Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)],
    [
      'a failure',
      () => {
        throw new Error('no SIMD here');
      },
    ],
  ])('opens nothing for %s', (_, code) => {
    expect(Sha256Lanes.open(code)).toBeNull();
  });

  it('opens nothing when any constant is wrong in any lane', () => {
    const right = sha256Module();
    let seen = 0;
    // The constants are the end of the module, four bytes each.
    for (let back = 4; back <= 4 * LANES * 64; back += 4) {
      const wrong = Uint8Array.from(right);
      wrong[wrong.length - back] = (wrong[wrong.length - back] ?? 0) ^ 0x10;
      expect(
        Sha256Lanes.open(() => wrong),
        `${back} bytes from the end`,
      ).toBeNull();
      seen += 1;
    }
    expect(seen).toBe(256);
  });
});

it('hashes leaves and nodes the same before and after it begins to do so side by side', () => {
  const lengths = [1, 16, 46, 54, 55, 56, 118, 119, 200, 300, 310, 311, 312, 1024, 70_000];
  for (let round = 0; round < 40; round += 1) {
    const entries = Array.from({ length: 600 }, (_, at) => {
      // Runs of one length, and between them of any.
      const length = lengths[(at % 7 < 5 ? round : at * 31 + round) % (round === 3 ? 15 : 14)] ?? 1;
      return Buffer.alloc(length, `${round} ${at}`);
    });
    const hashes = Buffer.alloc(entries.length * HASH_BYTES);
    hashLeaves(entries, hashes, 0);
    expect(hashes.equals(Buffer.concat(entries.map(leafOf)))).toBe(true);
    for (let count = 1; count <= 256; count *= 2) {
      const some = hashes.subarray(0, count * HASH_BYTES);
      expect(hashPerfect(some).equals(rootOf(some))).toBe(true);
    }
  }
});

it('gives the same tree whenever its hashes are asked for', () => {
  const [asked, never] = [new TreeEdge(), new TreeEdge()];
  for (let at = 0; at < 3000; at += 1) {
    const entry = Buffer.from(`entry ${at}`);
    asked.add(entry);
    never.add(entry);
    if (at % 97 === 0) asked.root();
    if (at % 89 === 0) asked.partial();
  }
  const files = (edge: TreeEdge): unknown =>
    [...edge.takeFull(), ...edge.partial()].map(({ name, bytes }) => [name, bytes]);
  expect(asked.root()).toEqual(never.root());
  expect(files(asked)).toEqual(files(never));
});
