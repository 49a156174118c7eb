// What a policy changes of another, value by value: so that the demo hides none of its shorter times.
import { readFileSync } from 'node:fs';

import { isMap, isSeq, isScalar, parseDocument } from 'yaml';

export interface PolicyDifference {
  /** `tiers.raiseDwell`; an entry of a list by its `id` where it has one. */
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

type Value = string | readonly string[];

export const DEMO_POLICY = new URL('../../../policies/demo.yaml', import.meta.url);
const DEFAULT_POLICY = new URL('../../../policies/default.yaml', import.meta.url);

/** What the demo's policy changes of the default one, but its name. */
export function demoPolicyDifferences(): PolicyDifference[] {
  const [from, to] = [DEFAULT_POLICY, DEMO_POLICY].map((file) => valuesOf(readFileSync(file, 'utf8')));
  const keys = [...new Set([...(from?.keys() ?? []), ...(to?.keys() ?? [])])].filter((key) => key !== 'name');
  return keys
    .map((key) => ({ key, ...differenceOf(from?.get(key) ?? '-', to?.get(key) ?? '-') }))
    .filter((one) => one.from !== one.to);
}

/** Of two lists only what one has and the other has not. */
function differenceOf(from: Value, to: Value): { readonly from: string; readonly to: string } {
  if (typeof from === 'string' || typeof to === 'string') return { from: String(from), to: String(to) };
  const without = (list: readonly string[], other: readonly string[]): string =>
    list.filter((item) => !other.includes(item)).join(', ') || '-';
  return { from: without(from, to), to: without(to, from) };
}

/** All values of a document by their path, as they are written. A list of plain values is one value. */
function valuesOf(text: string): ReadonlyMap<string, Value> {
  const found = new Map<string, Value>();
  collect(parseDocument(text).contents, [], found);
  return found;
}

function collect(node: unknown, path: readonly string[], found: Map<string, Value>): void {
  if (isMap(node)) {
    for (const { key, value } of node.items) collect(value, [...path, String(key)], found);
  } else if (isSeq(node) && node.items.some((item) => isMap(item))) {
    for (const [index, item] of node.items.entries()) collect(item, [...path, nameOf(item, index)], found);
  } else if (isSeq(node)) {
    found.set(path.join('.'), node.items.map(String));
  } else {
    found.set(path.join('.'), isScalar(node) ? (node.source ?? String(node.value)) : String(node));
  }
}

function nameOf(item: unknown, index: number): string {
  const name = isMap(item) ? (item.get('id') ?? item.get('check')) : null;
  return typeof name === 'string' ? name : String(index);
}
