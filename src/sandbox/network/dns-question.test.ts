import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuestionName } from './dns-question.ts';

interface Parts {
  readonly version?: number;
  readonly headerWords?: number;
  readonly protocol?: number;
  readonly fragment?: number;
  readonly flags?: number;
  readonly questions?: number;
}

/** An IPv4 packet with a DNS message whose question is given as it is on the wire, type and class included. */
function packetOf(question: Buffer, parts: Parts = {}): Buffer {
  const { version = 4, headerWords = 5, protocol = 17, fragment = 0, flags = 0x0100, questions = 1 } = parts;
  const ip = Buffer.alloc(Math.max(20, headerWords * 4));
  ip[0] = (version << 4) | headerWords;
  ip[9] = protocol;
  ip.writeUInt16BE(fragment, 6);
  const dns = Buffer.alloc(12);
  dns.writeUInt16BE(flags, 2);
  dns.writeUInt16BE(questions, 4);
  return Buffer.concat([ip, Buffer.alloc(8), dns, question]);
}

function wire(...labels: readonly string[]): Buffer {
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  return Buffer.concat([...parts, Buffer.from([0, 0, 1, 0, 1])]);
}

const example = wire('www', 'example', 'test');
const longest = wire('a'.repeat(63), 'b'.repeat(63), 'c'.repeat(63), 'd'.repeat(61));

describe('the name in a DNS query', () => {
  it.each<[string, Buffer, string]>([
    ['labels joined by dots', packetOf(example), 'www.example.test'],
    ['letters in lower case', packetOf(wire('WwW', 'eXample')), 'www.example'],
    ['the root', packetOf(wire()), '.'],
    ['bytes beyond letters as numbers', packetOf(wire('a.b c\u0000\u00ff')), 'a\\046b\\032c\\000\\255'],
    ['a header with options', packetOf(example, { headerWords: 15 }), 'www.example.test'],
    ['the first fragment', packetOf(example, { fragment: 0x2000 }), 'www.example.test'],
    ['the longest name there is', packetOf(longest), longest.toString('latin1', 1, 254).replace(/[?=]/g, '.')],
  ])('is read: %s', (_what, packet, name) => {
    expect(parseQuestionName(packet)).toBe(name);
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['half a header', packetOf(example).subarray(0, 19)],
    ['another version of IP', packetOf(example, { version: 6 })],
    ['a header shorter than the least', packetOf(example, { headerWords: 4 })],
    ['a header longer than the packet', packetOf(Buffer.alloc(0), { headerWords: 15 }).subarray(0, 30)],
    ['another protocol', packetOf(example, { protocol: 6 })],
    ['a later fragment', packetOf(example, { fragment: 1 })],
    ['an answer', packetOf(example, { flags: 0x8180 })],
    ['another operation', packetOf(example, { flags: 0x2800 })],
    ['no question', packetOf(example, { questions: 0 })],
    ['no name', packetOf(Buffer.alloc(0))],
    ['a label that is cut off', packetOf(Buffer.from([63, 97]))],
    ['a name without its end', packetOf(Buffer.from([1, 97]))],
    ['a name without a type', packetOf(example.subarray(0, -1))],
    ['a pointer to itself', packetOf(Buffer.from([0xc0, 12, 0, 1, 0, 1]))],
    ['a pointer after a label', packetOf(Buffer.from([1, 97, 0xc0, 12, 0, 1, 0, 1]))],
    ['a label of an extended type', packetOf(Buffer.from([0x41, 97, 0, 0, 1, 0, 1]))],
    [
      'one byte more than a name may have',
      packetOf(wire('a'.repeat(63), 'b'.repeat(63), 'c'.repeat(63), 'd'.repeat(62))),
    ],
    ['64 KiB of labels', packetOf(Buffer.alloc(65_536, '\u0001a'))],
  ])('is not read from %s', (_what, packet) => {
    expect(parseQuestionName(packet)).toBeNull();
  });

  it('is bounded and clean for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const name = parseQuestionName(packetOf(Buffer.from(bytes)));
        expect(name ?? '').toMatch(/^[a-z0-9_.\\-]{0,256}$/);
      }),
    );
  });
});
