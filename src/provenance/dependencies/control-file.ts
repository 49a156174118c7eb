// Paragraphs of `Key: value` lines apart by empty lines: the databases of dpkg and apk.
import { shown } from '../excerpt.ts';
import { badDependencies, DEPENDENCIES_MAX } from './dependency.ts';
import { parseLines } from './document.ts';

export interface ControlForm {
  readonly what: string;
  /** Splits a line into key and value. */
  readonly field: RegExp;
  /** Keys that are kept; the others may be anything. */
  readonly keys: ReadonlySet<string>;
  /** Lines that begin with this continue the field before. */
  readonly continuation: RegExp | null;
}

/**
 * Reads the paragraphs, each as its fields of `keys`.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES for a line of another form, a field that is said twice, too many
 */
export function parseParagraphs(bytes: Uint8Array, form: ControlForm): ReadonlyMap<string, string>[] {
  const { what, field, keys, continuation } = form;
  const paragraphs: Map<string, string>[] = [];
  let current: Map<string, string> | null = null;
  for (const [index, line] of parseLines(bytes, what).entries()) {
    if (line.trim() === '') {
      current = null;
      continue;
    }
    if (current !== null && continuation?.test(line) === true) continue;
    const [, key = '', value = ''] = field.exec(line) ?? [];
    if (key === '') throw badDependencies(what, `has a line ${index + 1} that is none of its form: ${shown(line)}`);
    if (current === null) {
      current = new Map();
      paragraphs.push(current);
      if (paragraphs.length > DEPENDENCIES_MAX)
        throw badDependencies(what, `has more than ${DEPENDENCIES_MAX} entries`);
    }
    if (!keys.has(key)) continue;
    if (current.has(key)) throw badDependencies(what, `says ${shown(key)} twice in one entry, in line ${index + 1}`);
    current.set(key, value.trim());
  }
  return paragraphs;
}
