// A chain as a picture: SVG that any browser shows, or DOT for Graphviz. Text of strangers is escaped, and nothing in it runs.
import type { ChainLinkDocument, ChainNodeDocument } from '../engine/index.ts';
import { linkText, nodeText } from './chain-tree.ts';
import { printable } from './output.ts';

const COLORS = { verified: '#1a7f37', missing: '#6e7781', failed: '#cf222e' } as const;
const MARKS = { verified: '✓', missing: '–', failed: '✗' } as const;

/** Pixels. */
const BOX_WIDTH = 460;
const GAP_X = 90;
const GAP_Y = 24;
const HEADER = 30;
const ROW = 20;
const MARGIN = 20;
/** Characters of the font that fit into a box. */
const HEADER_CHARS = 58;
const ROW_CHARS = 66;

interface Box {
  readonly node: ChainNodeDocument;
  readonly x: number;
  readonly y: number;
  readonly height: number;
  /** With the links that lead to them: the index of the row. */
  readonly next: readonly { readonly row: number; readonly box: Box }[];
}

export interface GraphTitle {
  readonly name: string;
  readonly verdict: string;
}

/** Draws a chain as SVG: a box a thing, a row a link, from the artifact on the left to its commits on the right. */
export function drawSvg(root: ChainNodeDocument, { name, verdict }: GraphTitle): string {
  const { box } = place(root, 0, MARGIN);
  const boxes = flatten(box);
  const width = Math.max(...boxes.map(({ x }) => x + BOX_WIDTH)) + MARGIN;
  const height = Math.max(...boxes.map((one) => one.y + one.height)) + MARGIN;
  const title = xml(`The chain of ${name}: ${verdict}`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" font-family="ui-sans-serif, system-ui, sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...boxes.flatMap(drawEdges),
    ...boxes.flatMap(drawBox),
    '</svg>',
    '',
  ].join('\n');
}

/** The box of a thing with those it leads to at its right, and where the next one below may begin. */
function place(node: ChainNodeDocument, depth: number, top: number): { readonly box: Box; readonly bottom: number } {
  const height = HEADER + node.links.length * ROW + (node.links.length === 0 ? 0 : ROW / 2);
  let below = top;
  const next = node.links.flatMap(({ leadsTo }, row) =>
    leadsTo.map((one) => {
      const placed = place(one, depth + 1, below);
      below = placed.bottom;
      return { row, box: placed.box };
    }),
  );
  const box = { node, x: MARGIN + depth * (BOX_WIDTH + GAP_X), y: top, height, next };
  return { box, bottom: Math.max(below, top + height + GAP_Y) };
}

function flatten(box: Box): Box[] {
  return [box, ...box.next.flatMap((next) => flatten(next.box))];
}

function drawBox({ node, x, y, height }: Box): string[] {
  return [
    `<rect x="${x}" y="${y}" width="${BOX_WIDTH}" height="${height}" rx="6" fill="#f6f8fa" stroke="#d0d7de"/>`,
    `<text x="${x + 12}" y="${y + 20}" font-weight="600" fill="#1f2328">${xml(cut(nodeText(node), HEADER_CHARS))}</text>`,
    ...node.links.map((link, row) => {
      const text = `${MARKS[link.status]} ${link.kind}: ${linkText(link)}`;
      const at = `x="${x + 12}" y="${y + HEADER + row * ROW + 14}"`;
      return `<text ${at} fill="${COLORS[link.status]}"><title>${xml(text)}</title>${xml(cut(text, ROW_CHARS))}</text>`;
    }),
  ];
}

function drawEdges({ node, x, y, next }: Box): string[] {
  return next.map(({ row, box }) => {
    const [fromX, fromY] = [x + BOX_WIDTH, y + HEADER + row * ROW + 10];
    const [toX, toY] = [box.x, box.y + HEADER / 2];
    const middle = (fromX + toX) / 2;
    const color = COLORS[node.links[row]?.status ?? 'missing'];
    return `<path d="M${fromX} ${fromY} C${middle} ${fromY} ${middle} ${toY} ${toX} ${toY}" fill="none" stroke="${color}" stroke-width="1.5"/>`;
  });
}

/** Writes a chain for Graphviz: a box a thing, an arrow a link; a link that leads nowhere has a box of its own. */
export function drawDot(root: ChainNodeDocument, { name, verdict }: GraphTitle): string {
  const lines: string[] = [];
  let count = 0;
  const write = (text: string, more: string): string => {
    const id = `n${count}`;
    count += 1;
    lines.push(`  ${id} [label=${dot(text)}${more}];`);
    return id;
  };
  const writeNode = (node: ChainNodeDocument): string => {
    const id = write(nodeText(node), ', style=bold');
    for (const link of node.links) writeLink(id, link);
    return id;
  };
  const writeLink = (from: string, link: ChainLinkDocument): void => {
    const color = COLORS[link.status];
    const text = cut(linkText(link), ROW_CHARS);
    const to =
      link.leadsTo.length === 0
        ? [write(text, `, color="${color}", fontcolor="${color}"`)]
        : link.leadsTo.map(writeNode);
    for (const id of to)
      lines.push(`  ${from} -> ${id} [label=${dot(`${MARKS[link.status]} ${link.kind}`)}, color="${color}"];`);
  };
  writeNode(root);
  return [
    'digraph chain {',
    `  label=${dot(`${name}: ${verdict}`)}; rankdir=LR; node [shape=box, fontname="sans-serif"]; edge [fontname="sans-serif"];`,
    ...lines,
    '}',
    '',
  ].join('\n');
}

function cut(text: string, charsMax: number): string {
  const characters = Array.from(text);
  return characters.length > charsMax ? `${characters.slice(0, charsMax - 1).join('')}…` : text;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** attacker-controlled: markup and what no XML may hold become harmless. */
function xml(text: string): string {
  return printable(text.toWellFormed())
    .replaceAll(/[\uFFFE\uFFFF]/g, '?')
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '?');
}

/** attacker-controlled: in quotes, where a backslash begins an escape. */
function dot(text: string): string {
  return `"${printable(text.toWellFormed()).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
