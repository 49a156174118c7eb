// The schema of the journal's leaves: what a line says about a document that lies in the content store.
import { z } from 'zod';

import { type Digest, digestOf, isDigest } from '../artifact/index.ts';
import { canonicalJson, exitStatus, messageOf } from '../base/index.ts';
import { ENTRY_BYTES_MAX } from '../ledger/index.ts';
import { ProvenanceError } from './errors.ts';
import { faultsOf } from './excerpt.ts';
import { parseStrictJson } from './strict-json.ts';

/** What a leaf records: a stage of the lifecycle, or something that this host decided or did. */
export const leafKinds = [
  'source',
  'build',
  'deps',
  'test',
  'vuln',
  'package',
  'deploy',
  'runtime',
  'decision',
  'action',
  'incident',
  'override',
  'policy',
  'plugin',
  'execution',
  'key',
  'revoke',
] as const;
export type LeafKind = (typeof leafKinds)[number];

const digest = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a SHA-256 digest');

// The limits keep the largest leaf under ENTRY_BYTES_MAX but for long texts, which `makeLeaf` refuses.
const leafSchema = z.strictObject({
  kind: z.enum(leafKinds),
  document: z.strictObject({ digest, bytes: z.int().min(0), type: z.string().min(1).max(256) }),
  subjects: z.array(digest).max(32),
  /** Ids of the keys that signed the document. */
  keys: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(16),
  /** Indexes of the entries that this one follows from. */
  parents: z.array(z.int().min(0)).max(64),
  issuer: z.string().min(1).max(256),
});

/** One entry of the journal. The issuer is who wrote it: a home (`home:3f9a01`) or a key (`key:…`). */
export type Leaf = z.infer<typeof leafSchema>;

/** What a leaf is made from; the document's digest and size are computed. */
export interface LeafInput {
  readonly kind: LeafKind;
  readonly document: Uint8Array;
  readonly type: string;
  readonly subjects: readonly Digest[];
  readonly keys: readonly string[];
  readonly parents: readonly number[];
  readonly issuer: string;
}

/**
 * Writes a leaf: one line of canonical JSON, at most 8 KiB.
 *
 * @throws ProvenanceError PROVENANCE_LEAF
 */
export function makeLeaf({ document, type, ...input }: LeafInput): Buffer {
  const leaf = { ...input, document: { digest: digestOf(document), bytes: document.length, type } };
  const line = Buffer.from(canonicalJson(leaf));
  parseLeaf(line);
  return line;
}

/**
 * Parses a leaf, which must be canonical, so that one leaf has one form.
 *
 * @throws ProvenanceError PROVENANCE_LEAF
 */
export function parseLeaf(line: Uint8Array): Leaf {
  try {
    const value = parseStrictJson(line, { what: 'the leaf', bytesMax: ENTRY_BYTES_MAX });
    const leaf = leafSchema.parse(value);
    if (canonicalJson(leaf) !== Buffer.from(line).toString()) throw new Error('it is not canonical');
    return leaf;
  } catch (error) {
    const why = error instanceof z.ZodError ? faultsOf(error) : messageOf(error);
    throw new ProvenanceError('PROVENANCE_LEAF', `the journal's leaf is not valid: ${why}`, {
      exit: exitStatus.verificationFailed,
      hint: 'A leaf names its document by digest; long lists and texts belong in the document.',
      cause: error,
    });
  }
}
