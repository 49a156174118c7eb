// Reading a file with dependencies: text and JSON of strangers, within limits and into a known shape.
import { z } from 'zod';
import { messageOf } from '../../base/index.ts';
import { parseStrictJson } from '../strict-json.ts';
import { shown } from '../excerpt.ts';
import { badDependencies, DEPENDENCY_FILE_BYTES_MAX } from './dependency.ts';

const LINES_MAX = 2_000_000;
const LINE_CHARS_MAX = 65_536;

/** @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES when it has not the form of `schema` */
export function parseJsonDocument<T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string): T {
  return parseShape(parseStrictJson(bytes, { what, bytesMax: DEPENDENCY_FILE_BYTES_MAX }), schema, what);
}

/** @throws ProvenanceError PROVENANCE_DEPENDENCIES when the value has not the form of `schema` */
export function parseShape<T>(value: unknown, schema: z.ZodType<T>, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // attacker-controlled: the path has keys of the document.
  const [issue] = parsed.error.issues;
  const path = (issue?.path ?? []).map(String).join('.');
  throw badDependencies(what, `is not valid at ${shown(path)}: ${shown(issue?.message ?? '').slice(1, -1)}`);
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws ProvenanceError PROVENANCE_DEPENDENCIES when it is too large or no UTF-8 */
export function parseText(bytes: Uint8Array, what: string): string {
  if (bytes.length > DEPENDENCY_FILE_BYTES_MAX) {
    throw badDependencies(what, `has ${bytes.length} bytes; the limit is ${DEPENDENCY_FILE_BYTES_MAX}`);
  }
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    throw badDependencies(what, `is not UTF-8: ${messageOf(error)}`, error);
  }
}

/** @throws ProvenanceError PROVENANCE_DEPENDENCIES, as {@link parseText}, or for too many or too long lines */
export function parseLines(bytes: Uint8Array, what: string): readonly string[] {
  const lines = parseText(bytes, what).split(/\r?\n/);
  if (lines.length > LINES_MAX) throw badDependencies(what, `has more than ${LINES_MAX} lines`);
  const long = lines.findIndex((line) => line.length > LINE_CHARS_MAX);
  if (long >= 0) throw badDependencies(what, `has more than ${LINE_CHARS_MAX} characters in line ${long + 1}`);
  return lines;
}
