import { expect, it } from 'vitest';

import type { ChainLinkDocument, ChainNodeDocument } from '../engine/index.ts';
import { drawDot, drawSvg } from './chain-graph.ts';
import { chainLines } from './chain-tree.ts';

const digestOf = (hex: 'e' | 'f'): string => `sha256:${hex.repeat(64)}`;
const TITLE = { name: 'shop & <web>', verdict: 'verified' };
const plain = (_: string, text: string): string => text;

function node(fields: Partial<ChainNodeDocument> = {}): ChainNodeDocument {
  return { digest: digestOf('f'), role: 'artifact', name: null, repeated: null, links: [], ...fields };
}

function link(fields: Partial<ChainLinkDocument> = {}): ChainLinkDocument {
  return {
    ...{ kind: 'build', status: 'verified', reason: 'signed', says: null, signers: [], predicateType: null },
    ...{ envelopeDigest: digestOf('e'), entry: { index: 3, log: null }, leadsTo: [], unknownCount: 0 },
    ...fields,
  } as const;
}

it('writes a chain as lines that go deeper with each thing', () => {
  const commit = node({ digest: null, role: 'commit', name: 'git+https://forge.test/shop' });
  const loop = node({ role: 'material', repeated: 'loop' });
  const again = node({ role: 'content', repeated: 'again' });
  const links = [
    link({ leadsTo: [commit, loop], unknownCount: 2 }),
    link({ kind: 'package', leadsTo: [again], entry: { index: 0, log: 'log.test' }, line: 4 }),
    link({ kind: 'package', entry: null, unknownCount: 1, says: 'packed' }),
    link({ kind: 'other', status: 'failed', reason: 'it is not JSON' }),
    link({ kind: 'test', status: 'missing', envelopeDigest: null, entry: null, reason: 'nobody tested it' }),
  ];
  const short = digestOf('f').slice(0, 19);
  expect(chainLines(node({ links }), plain)).toEqual([
    '  ✓ build        signed; log entry 3',
    '    commit git+https://forge.test/shop unknown',
    `    material ${short} (a circle)`,
    '    2 more materials without attestations',
    '  ✓ package      line 4; signed; log entry 0 of log.test',
    `    content ${short} (above)`,
    '  ✓ package      packed; signed; not logged',
    '    1 content without attestations',
    '  ✗ other        unreadable; it is not JSON; log entry 3',
    '  – test         nobody tested it',
  ]);
});

it('shows so many links of one thing, and says how many more there are', () => {
  const lines = chainLines(node({ links: Array.from({ length: 40 }, () => link()) }), plain);
  expect([lines.length, lines.at(-1)]).toEqual([33, '  and 8 more']);
});

it.each([
  ['markup', '</text><script>alert(1)</script>'],
  ['an attribute', '" onload="alert(1)'],
  ['what no XML may hold', 'a\u0000b\uFFFEc\uD800d\u001B[31m'],
  ['an escape of DOT', String.raw`\N" URL="https://evil.test`],
])('draws %s as text', (_, name) => {
  const root = node({ name, links: [link({ reason: name, leadsTo: [node({ name })] }), link({ status: 'failed' })] });
  const svg = drawSvg(root, { ...TITLE, name });
  expect(svg).not.toMatch(/<script|<\/text><s|" onload=|(?!\n)\p{Cc}|\uFFFE/u);
  expect(svg.isWellFormed()).toBe(true);
  // Every element is one that we write.
  const elements = new Set([...svg.matchAll(/<([a-z]+)[ >/]/gi)].map(([, element]) => element));
  expect(elements).toEqual(new Set(['svg', 'title', 'rect', 'path', 'text']));
  const dot = drawDot(root, { ...TITLE, name });
  // Outside its strings, DOT has nothing but what we write.
  const outside = dot.replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  expect(outside).not.toMatch(/URL|evil|alert|\\/);
  expect(outside.match(/->/g)).toHaveLength(2);
});

it('puts no box upon another', () => {
  const deep = (depth: number): ChainNodeDocument =>
    node({ links: depth === 0 ? [link()] : [link({ leadsTo: [deep(depth - 1), deep(depth - 1)] }), link()] });
  const svg = drawSvg(deep(4), TITLE);
  const boxes = [...svg.matchAll(/<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/g)].map((found) =>
    found.slice(1).map(Number),
  );
  expect(boxes).toHaveLength(31);
  for (const [at, [x = 0, y = 0, width = 0, height = 0]] of boxes.entries()) {
    for (const [otherX = 0, otherY = 0, otherWidth = 0, otherHeight = 0] of boxes.slice(at + 1)) {
      const apart =
        x + width <= otherX || otherX + otherWidth <= x || y + height <= otherY || otherY + otherHeight <= y;
      expect(apart).toBe(true);
    }
  }
});
