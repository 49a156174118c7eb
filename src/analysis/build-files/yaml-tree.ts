// A YAML file as a tree of texts, lists and maps that know their lines. Aliases are followed within limits; every scalar is text.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
} from 'yaml';
import { messageOf } from '../../base/index.ts';
import { shown } from './finding.ts';
import { scriptAt, scriptOf, type TextScript } from './text-script.ts';

export interface YamlText {
  readonly kind: 'text';
  readonly line: number;
  readonly text: string;
  /** Whether the lines of the text are lines of the file below `line`. */
  readonly isLiteral: boolean;
}

export interface YamlList {
  readonly kind: 'list';
  readonly line: number;
  readonly items: readonly YamlNode[];
}

export interface YamlMap {
  readonly kind: 'map';
  readonly line: number;
  readonly entries: ReadonlyMap<string, YamlEntry>;
}

export interface YamlEntry {
  /** Where the key stands. */
  readonly line: number;
  readonly value: YamlNode;
}

export type YamlNode = YamlText | YamlList | YamlMap;

/** What a YAML file holds, or why it cannot be read without doubt. */
export type YamlTree = { readonly documents: readonly YamlNode[] } | { readonly fault: string; readonly line: number };

/** Nodes after aliases were followed: thousands of steps, and no bomb of them. */
const NODES_MAX = 20_000;
const DEPTH_MAX = 40;
const DOCUMENTS_MAX = 4;

class YamlFault extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Reads a YAML file. Keys that are said twice, or are no text, are faults. */
export function readYaml(text: string): YamlTree {
  const counter = new LineCounter();
  try {
    const documents = parse(text, counter);
    const budget = { nodes: NODES_MAX };
    return { documents: documents.map((it) => new TreeBuilder(it, counter, budget).root()) };
  } catch (error) {
    // Whatever the library or the limits refuse is not judged: the caller makes a finding of it.
    const offset = error instanceof YamlFault ? error.offset : 0;
    const why = error instanceof RangeError ? 'it nests too deep' : messageOf(error);
    return { fault: `it is not plain YAML: ${shown(why)}`, line: Math.max(1, counter.linePos(offset).line) };
  }
}

function parse(text: string, lineCounter: LineCounter): Document.Parsed[] {
  // Keys are compared below, where it costs no square of their number.
  const options = { lineCounter, prettyErrors: false, schema: 'failsafe', uniqueKeys: false } as const;
  const documents = parseAllDocuments(text, options);
  if (!Array.isArray(documents) || documents.length === 0) throw new YamlFault('it is empty', 0);
  if (documents.length > DOCUMENTS_MAX) throw new YamlFault(`it has more than ${DOCUMENTS_MAX} documents`, 0);
  const [first] = documents.flatMap(({ errors }) => errors);
  if (first !== undefined) throw new YamlFault(first.message, first.pos[0]);
  return documents;
}

class TreeBuilder {
  readonly #document: Document.Parsed;
  readonly #counter: LineCounter;
  readonly #budget: { nodes: number };
  readonly #anchors = new Map<string, Node>();

  constructor(document: Document.Parsed, counter: LineCounter, budget: { nodes: number }) {
    this.#document = document;
    this.#counter = counter;
    this.#budget = budget;
  }

  root(): YamlNode {
    return this.#node(this.#document.contents, 0);
  }

  #line(offset: number): number {
    return Math.max(1, this.#counter.linePos(offset).line);
  }

  /** An alias means the last anchor of its name before it: anchors are noted in the order of the file. */
  #node(node: unknown, depth: number): YamlNode {
    const offset = startOf(node);
    if (depth > DEPTH_MAX) throw new YamlFault('it nests too deep', offset);
    if ((this.#budget.nodes -= 1) < 0) throw new YamlFault('it has too many values', offset);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) throw new YamlFault(`there is no anchor ${node.source}`, offset);
      return this.#node(target, depth + 1);
    }
    if (isScalar(node)) return this.#text(node);
    if (isSeq(node)) {
      const list: YamlList = {
        kind: 'list',
        line: this.#line(offset),
        items: node.items.map((it) => this.#node(it, depth + 1)),
      };
      this.#anchor(node);
      return list;
    }
    if (isMap(node)) return this.#map(node, depth);
    return { kind: 'text', line: this.#line(offset), text: '', isLiteral: false };
  }

  #anchor(node: Node & { anchor?: string }): void {
    if (node.anchor !== undefined) this.#anchors.set(node.anchor, node);
  }

  #text(node: Scalar): YamlText {
    this.#anchor(node);
    const text = typeof node.value === 'string' ? node.value : '';
    const isLiteral = node.type === 'BLOCK_LITERAL';
    return { kind: 'text', line: this.#line(startOf(node)), text, isLiteral };
  }

  #map(node: Node & { items: { key: unknown; value: unknown }[] }, depth: number): YamlMap {
    const entries = new Map<string, YamlEntry>();
    const merged: YamlNode[] = [];
    for (const { key, value } of node.items) {
      const name = this.#node(key, depth + 1);
      if (name.kind !== 'text') throw new YamlFault('a key is no text', startOf(key));
      if (entries.has(name.text)) throw new YamlFault(`the key ${name.text} is there twice`, startOf(key));
      const read = this.#node(value, depth + 1);
      if (name.text === '<<') merged.push(...(read.kind === 'list' ? read.items : [read]));
      else entries.set(name.text, { line: name.line, value: read });
    }
    this.#anchor(node);
    // What is merged in never replaces what the map says itself.
    for (const one of merged)
      for (const [name, entry] of one.kind === 'map' ? one.entries : [])
        if (!entries.has(name)) entries.set(name, entry);
    return { kind: 'map', line: this.#line(startOf(node)), entries };
  }
}

function startOf(node: unknown): number {
  const { range } = (node ?? {}) as { range?: readonly number[] | null };
  return range?.[0] ?? 0;
}

/** The value under a key of a map, or null. */
export function childOf(node: YamlNode | null, name: string): YamlNode | null {
  return node?.kind === 'map' ? (node.entries.get(name)?.value ?? null) : null;
}

/** The entries of a map; none of anything else. */
export function entriesOf(node: YamlNode | null): (readonly [string, YamlEntry])[] {
  return node?.kind === 'map' ? [...node.entries] : [];
}

/** The items of a list; a single value counts as a list of one, nothing as none. */
export function itemsOf(node: YamlNode | null): readonly YamlNode[] {
  if (node === null) return [];
  return node.kind === 'list' ? node.items : [node];
}

/** The text of a scalar, or an empty one. */
export function textOf(node: YamlNode | null): string {
  return node?.kind === 'text' ? node.text : '';
}

/** All texts below a node, keys not among them. */
export function textsBelow(node: YamlNode | null): YamlText[] {
  if (node === null) return [];
  if (node.kind === 'text') return [node];
  const below = node.kind === 'list' ? node.items : entriesOf(node).map(([, { value }]) => value);
  return below.flatMap(textsBelow);
}

/** The text as a script that knows the lines of its lines. */
export function scriptIn({ text, line, isLiteral }: YamlText): TextScript {
  if (!isLiteral) return scriptAt(text, line);
  const lines = text.split('\n');
  return scriptOf(lines.map((it, at) => ({ text: at === lines.length - 1 ? it : `${it}\n`, line: line + 1 + at })));
}
