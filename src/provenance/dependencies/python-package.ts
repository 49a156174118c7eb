// Names and hashes of Python packages, as all their lockfiles write them.
import { shown } from '../excerpt.ts';
import { badDependencies } from './dependency.ts';
import { type Hash, type HashAlgorithm, hexHash } from './hash.ts';

/** The one form of a name that all its spellings have. @source https://packaging.python.org/en/latest/specifications/name-normalization/ */
export function normalisedPythonName(name: string, what: string): string {
  if (!/^[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?$/i.test(name)) {
    throw badDependencies(what, `has a package name that Python does not allow: ${shown(name)}`);
  }
  return name.replaceAll(/[-_.]+/g, '-').toLowerCase();
}

const PYTHON_ALGORITHMS: ReadonlySet<string> = new Set(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512']);

/** `sha256:0123…`. @throws ProvenanceError PROVENANCE_DEPENDENCIES */
export function parsePythonHash(text: string, what: string): Hash {
  const [name = '', hex = ''] = text.split(/:(.*)/s);
  const hash = PYTHON_ALGORITHMS.has(name) ? hexHash(name as HashAlgorithm, hex) : null;
  if (hash === null) throw badDependencies(what, `has a hash that is none: ${shown(text)}`);
  return hash;
}
