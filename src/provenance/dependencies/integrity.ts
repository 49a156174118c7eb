// Is this the dependency that its lockfile means: bytes, or the files of a Go module, against the hashes that were given.
import { createHash } from 'node:crypto';
import { isSameBytes } from '../../base/index.ts';
import { badDependencies, checkCount, type Dependency } from './dependency.ts';
import { computeHash, type Hash, type HashAlgorithm, isStrong, strengthOf } from './hash.ts';

export interface IntegrityVerdict {
  /** `missing`: nothing was given that proves it, or nothing that this host can compute. */
  readonly status: 'verified' | 'failed' | 'missing';
  /** One clause, no full stop. */
  readonly reason: string;
}

/**
 * Checks the archive of a dependency against its hashes. Of several algorithms the strongest alone counts, as in
 * Subresource Integrity; Python lists one hash for each archive of a release, so that there any strong one may fit. What
 * fits only a forgeable hash is `missing`; what does not even fit that is `failed`.
 *
 * @source https://www.w3.org/TR/SRI/, section 3.3.4; https://pip.pypa.io/en/stable/topics/secure-installs/
 */
export function checkIntegrity(dependency: Dependency, bytes: Uint8Array): IntegrityVerdict {
  const computed = new Map<HashAlgorithm, string>();
  for (const { algorithm } of dependency.hashes) {
    const hex = computed.has(algorithm) ? null : computeHash(algorithm, bytes);
    if (hex !== null) computed.set(algorithm, hex);
  }
  const given = dependency.hashes.filter(({ algorithm }) => computed.has(algorithm));
  return judge(decisive(dependency, given), (hash) => computed.get(hash.algorithm) ?? '');
}

/** A file of a module and the SHA-256 of its content. */
export interface ModuleFile {
  /** `module@version/path`, with slashes, as in the module's archive. */
  readonly name: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

/**
 * Checks the files of a Go module against the `h1` hash of its dependency.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES as {@link goModuleHash}
 */
export function checkModule(dependency: Dependency, files: readonly ModuleFile[]): IntegrityVerdict {
  const given = dependency.hashes.filter(({ algorithm }) => algorithm === 'h1');
  const hash = given.length === 0 ? '' : goModuleHash(files);
  return judge(given, () => hash);
}

/**
 * Go's `Hash1` of a module's files, in hex: the SHA-256 of a line for each, sorted by name.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES for too many files, a name with an end of line, a name given twice, or
 * what is no SHA-256
 * @source https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash#Hash1
 */
export function goModuleHash(files: readonly ModuleFile[]): string {
  const what = 'the list of files of a module';
  checkCount(files.length, what);
  const names = new Set(files.map(({ name }) => name));
  const isBad = ({ name, sha256 }: ModuleFile): boolean => name.includes('\n') || !/^[0-9a-f]{64}$/.test(sha256);
  if (files.some(isBad)) throw badDependencies(what, 'has a name of several lines or what is no SHA-256');
  if (names.size < files.length) throw badDependencies(what, 'says a name twice');
  // Go compares bytes; JavaScript would compare UTF-16.
  const sorted = files
    .map(({ name, sha256 }) => ({ bytes: Buffer.from(name), sha256 }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const hash = createHash('sha256');
  for (const { bytes, sha256 } of sorted) hash.update(`${sha256}  `).update(bytes).update('\n');
  return hash.digest('hex');
}

/** The hashes of which one must fit. */
function decisive({ ecosystem }: Dependency, given: readonly Hash[]): readonly Hash[] {
  const strong = given.filter(isStrong);
  if (ecosystem === 'pypi' && strong.length > 0) return strong;
  const strength = Math.max(0, ...given.map(strengthOf));
  return given.filter((hash) => strengthOf(hash) === strength);
}

function judge(given: readonly Hash[], hexOf: (hash: Hash) => string): IntegrityVerdict {
  if (given.length === 0) return { status: 'missing', reason: 'no hash that can be checked' };
  const names = [...new Set(given.map(({ algorithm }) => algorithm))].join(' or ');
  const fits = given.some((hash) => isSameBytes(Buffer.from(hash.hex, 'hex'), Buffer.from(hexOf(hash), 'hex')));
  if (!fits) return { status: 'failed', reason: `its content is not what ${names} says` };
  return given.some(isStrong)
    ? { status: 'verified', reason: `its content is what ${names} says` }
    : { status: 'missing', reason: `its content fits ${names}, which can be forged` };
}
