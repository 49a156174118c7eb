// A chain as a tree of text: a line a link, with what it says, why, and where it is logged.
import type { ChainLinkDocument, ChainNodeDocument } from '../engine/index.ts';
import type { Style } from './output.ts';
import { printable } from './output.ts';

type Paint = (style: Style, text: string) => string;

const MARKS = { verified: '✓', missing: '–', failed: '✗' } as const;
const STYLES = { verified: 'green', missing: 'dim', failed: 'red' } as const;
const KIND_CHARS = 12;
const DIGEST_CHARS_SHOWN = 'sha256:'.length + 12;

/** Links of one thing that people see; an artifact may have many attestations of strangers. */
const LINKS_SHOWN = 32;

/** The lines of a chain, below its artifact. */
export function chainLines(root: ChainNodeDocument, paint: Paint): string[] {
  return linkLines(root.links, '  ', paint);
}

function linkLines(links: readonly ChainLinkDocument[], indent: string, paint: Paint): string[] {
  const lines = links
    .slice(0, LINKS_SHOWN)
    .flatMap((link) => [
      `${indent}${paint(STYLES[link.status], MARKS[link.status])} ${link.kind.padEnd(KIND_CHARS)} ${linkText(link)}`,
      ...link.leadsTo.flatMap((node) => [
        `${indent}  ${nodeText(node)}`,
        ...linkLines(node.links, `${indent}    `, paint),
      ]),
      ...(link.unknownCount === 0 ? [] : [`${indent}  ${unknownText(link)}`]),
    ]);
  const more = links.length - LINKS_SHOWN;
  return more > 0 ? [...lines, `${indent}and ${more} more`] : lines;
}

/** What a link says, why it counts or does not, and where it is kept. */
export function linkText({
  says,
  reason,
  predicateType,
  kind,
  entry,
  envelopeDigest,
  line,
}: ChainLinkDocument): string {
  const parts = [
    ...(line === undefined ? [] : [`line ${line}`]),
    // What is kept without being scored is known by its type alone.
    ...(kind === 'other' ? [predicateType ?? 'unreadable'] : []),
    ...(says === null ? [] : [says]),
    reason,
    ...(envelopeDigest === null ? [] : [entryText(entry)]),
  ];
  return printable(parts.join('; '));
}

function entryText(entry: ChainLinkDocument['entry']): string {
  if (entry === null) return 'not logged';
  return `log entry ${entry.index}${entry.log === null ? '' : ` of ${entry.log}`}`;
}

/** A thing in a few words. */
export function nodeText({ role, name, digest, repeated }: ChainNodeDocument): string {
  const parts = [role, ...(name === null ? [] : [name]), digest?.slice(0, DIGEST_CHARS_SHOWN) ?? 'unknown'];
  const where = { again: ' (above)', loop: ' (a circle)' } as const;
  return printable(`${parts.join(' ')}${repeated === null ? '' : where[repeated]}`);
}

function unknownText({ kind, unknownCount, leadsTo }: ChainLinkDocument): string {
  const what = kind === 'package' ? 'content' : 'material';
  const more = leadsTo.length === 0 ? '' : ' more';
  return `${unknownCount}${more} ${what}${unknownCount === 1 ? '' : 's'} without attestations`;
}
