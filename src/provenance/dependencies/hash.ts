// Hashes that files give for their dependencies: which algorithms there are, how strong, and how they are written.
import { createHash } from 'node:crypto';

/**
 * A hash of a dependency. `algorithm` is one of {@link HASH_ALGORITHMS}; `h1` is Go's hash of a module's files.
 */
export interface Hash {
  readonly algorithm: HashAlgorithm;
  /** Lower case. */
  readonly hex: string;
}

interface AlgorithmFacts {
  readonly hexChars: number;
  /** 0: forgeable, proves nothing; otherwise a larger number is stronger. */
  readonly strength: number;
  /** Node's name; null: cannot be computed here. */
  readonly node: string | null;
  readonly cycloneDx: string | null;
  readonly spdx: string | null;
}

function facts(hexChars: number, strength: number, names: readonly (string | null)[]): AlgorithmFacts {
  const [node = null, cycloneDx = null, spdx = null] = names;
  return { hexChars, strength, node, cycloneDx, spdx };
}

/** Collisions of MD2, MD4, MD5 and SHA-1 are made at will; Adler-32 is no hash at all. */
export const HASH_ALGORITHMS = {
  adler32: facts(8, 0, [null, null, 'ADLER32']),
  md2: facts(32, 0, [null, null, 'MD2']),
  md4: facts(32, 0, [null, null, 'MD4']),
  md5: facts(32, 0, ['md5', 'MD5', 'MD5']),
  sha1: facts(40, 0, ['sha1', 'SHA-1', 'SHA1']),
  sha224: facts(56, 1, ['sha224', null, 'SHA224']),
  sha256: facts(64, 2, ['sha256', 'SHA-256', 'SHA256']),
  sha384: facts(96, 3, ['sha384', 'SHA-384', 'SHA384']),
  sha512: facts(128, 4, ['sha512', 'SHA-512', 'SHA512']),
  'sha3-256': facts(64, 2, ['sha3-256', 'SHA3-256', 'SHA3-256']),
  'sha3-384': facts(96, 3, ['sha3-384', 'SHA3-384', 'SHA3-384']),
  'sha3-512': facts(128, 4, ['sha3-512', 'SHA3-512', 'SHA3-512']),
  'blake2b-256': facts(64, 2, [null, 'BLAKE2b-256', 'BLAKE2b-256']),
  'blake2b-384': facts(96, 3, [null, 'BLAKE2b-384', 'BLAKE2b-384']),
  'blake2b-512': facts(128, 4, ['blake2b512', 'BLAKE2b-512', 'BLAKE2b-512']),
  blake3: facts(64, 2, [null, 'BLAKE3', 'BLAKE3']),
  'streebog-256': facts(64, 2, [null, 'Streebog-256', null]),
  'streebog-512': facts(128, 4, [null, 'Streebog-512', null]),
  h1: facts(64, 2, [null, null, null]),
} as const satisfies Readonly<Record<string, AlgorithmFacts>>;

export type HashAlgorithm = keyof typeof HASH_ALGORITHMS;

const algorithms = Object.keys(HASH_ALGORITHMS) as HashAlgorithm[];

function factsOf(algorithm: HashAlgorithm): AlgorithmFacts {
  return HASH_ALGORITHMS[algorithm];
}

/** The algorithm that a standard calls so, or null. */
export function algorithmNamed(name: string, standard: 'cycloneDx' | 'spdx'): HashAlgorithm | null {
  return algorithms.find((algorithm) => factsOf(algorithm)[standard] === name) ?? null;
}

/** How CycloneDX 1.6 calls an algorithm; null when it has no name for it. */
export function cycloneDxName(algorithm: HashAlgorithm): string | null {
  return algorithm.startsWith('streebog') ? null : factsOf(algorithm).cycloneDx;
}

/** A hash in hex of either case, or null when its length or letters are not that algorithm's. */
export function hexHash(algorithm: HashAlgorithm, text: string): Hash | null {
  const hex = text.toLowerCase();
  return /^[0-9a-f]+$/.test(hex) && hex.length === factsOf(algorithm).hexChars ? { algorithm, hex } : null;
}

/** A hash in padded base64, or null. */
export function base64Hash(algorithm: HashAlgorithm, text: string): Hash | null {
  const bytes = Buffer.from(text, 'base64');
  // Node reads what is not base64 as far as it goes: only text that comes back the same is it.
  return bytes.toString('base64') === text ? hexHash(algorithm, bytes.toString('hex')) : null;
}

export function isStrong({ algorithm }: Hash): boolean {
  return factsOf(algorithm).strength > 0;
}

export function strengthOf({ algorithm }: Hash): number {
  return factsOf(algorithm).strength;
}

/** The hash of bytes in hex, or null when this host cannot compute the algorithm. */
export function computeHash(algorithm: HashAlgorithm, bytes: Uint8Array): string | null {
  const { node } = factsOf(algorithm);
  return node === null ? null : createHash(node).update(bytes).digest('hex');
}

/** Algorithms of Subresource Integrity, and the forgeable one that npm still writes for old packages. */
const SRI_ALGORITHMS: ReadonlyMap<string, HashAlgorithm> = new Map([
  ['sha1', 'sha1'],
  ['sha256', 'sha256'],
  ['sha384', 'sha384'],
  ['sha512', 'sha512'],
]);

/**
 * Reads an integrity string: hashes apart by white space, options behind `?` left out. Null when one of the known
 * algorithms does not hold its hash; unknown algorithms are left out, as the standard demands.
 *
 * @source https://www.w3.org/TR/SRI/, section 3.5
 */
export function parseIntegrity(text: string): readonly Hash[] | null {
  const hashes: Hash[] = [];
  for (const token of text.split(/[ \t\n\f\r]+/).filter((part) => part !== '')) {
    const [name = '', ...rest] = token.replace(/\?.*$/s, '').split('-');
    const algorithm = SRI_ALGORITHMS.get(name);
    if (algorithm === undefined) continue;
    const hash = base64Hash(algorithm, rest.join('-'));
    if (hash === null) return null;
    hashes.push(hash);
  }
  return hashes;
}
