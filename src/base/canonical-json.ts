// RFC 8785 canonical JSON: one value, one byte string, so that a digest names a value.
import { BaseError } from './errors.ts';

/** Values that JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Nesting beyond this is refused: canonical documents of ours are shallow, and recursion must have a limit. */
export const CANONICAL_DEPTH_MAX = 64;

/**
 * Writes `value` in the canonical form of RFC 8785; members whose value is undefined are left out, as JSON.stringify does.
 *
 * @throws BaseError BASE_CANONICAL_JSON for a number that is not finite, a lone surrogate, or a value that JSON does not
 * have; BASE_DEPTH beyond {@link CANONICAL_DEPTH_MAX}
 * @source RFC 8785, sections 3.2.1 to 3.2.3
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > CANONICAL_DEPTH_MAX) throw new BaseError('BASE_DEPTH', `JSON nests deeper than ${CANONICAL_DEPTH_MAX}`);
  switch (typeof value) {
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      if (!Number.isFinite(value)) throw notJson(`the number ${value}`);
      return JSON.stringify(value);
    case 'string':
      return canonicalString(value);
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? canonicalArray(value, depth) : canonicalObject(value, depth);
    default:
      throw notJson(`a ${typeof value}`);
  }
}

function canonicalString(text: string): string {
  if (!text.isWellFormed()) throw notJson('a string with a lone surrogate');
  return JSON.stringify(text);
}

function canonicalArray(values: readonly unknown[], depth: number): string {
  return `[${values.map((value) => canonicalJson(value ?? null, depth + 1)).join(',')}]`;
}

function canonicalObject(value: object, depth: number): string {
  const members: string[] = [];
  // The default sort compares UTF-16 code units, as the RFC demands.
  for (const key of Object.keys(value).sort()) {
    const member: unknown = (value as Record<string, unknown>)[key];
    if (member !== undefined) members.push(`${canonicalString(key)}:${canonicalJson(member, depth + 1)}`);
  }
  return `{${members.join(',')}}`;
}

function notJson(what: string): BaseError {
  return new BaseError('BASE_CANONICAL_JSON', `canonical JSON cannot hold ${what}`);
}
