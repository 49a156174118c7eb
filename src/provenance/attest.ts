// Attesting: signs a statement about one artifact.
import { type Digest, digestOf } from '../artifact/index.ts';
import { encodeEnvelope, ENVELOPE_MEDIA_TYPE, signEnvelope } from './dsse.ts';
import type { Signer } from './ed25519.ts';
import { SOURCE_PREDICATE_TYPE } from './git/source-predicate.ts';
import { type LeafKind, makeLeaf } from './leaf.ts';
import { makeStatement, SLSA_PROVENANCE_TYPE, STATEMENT_MEDIA_TYPE } from './statement.ts';

/** What is attested, and by whom. */
export interface AttestInput {
  readonly artifact: { readonly name: string; readonly digest: Digest };
  readonly predicateType: string;
  /** A JSON object. */
  readonly predicate: unknown;
  readonly signer: Signer;
  /** Who the leaf says wrote it, such as `home:3f9a01`. */
  readonly issuer: string;
}

/** A signed envelope in its one encoding, its digest, and the journal's leaf for it. */
export interface Attestation {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly leaf: Buffer;
}

/**
 * Makes an in-toto Statement v1 about the artifact in a DSSE envelope.
 *
 * @throws ProvenanceError PROVENANCE_STATEMENT when the predicate type is no URI or the predicate no object
 */
export function attest({ artifact, predicateType, predicate, signer, issuer }: AttestInput): Attestation {
  const statement = makeStatement(artifact, predicateType, predicate);
  const bytes = encodeEnvelope(signEnvelope(STATEMENT_MEDIA_TYPE, statement, [signer]));
  const leaf = makeLeaf({
    kind: kindOf(predicateType),
    document: bytes,
    type: ENVELOPE_MEDIA_TYPE,
    subjects: [artifact.digest],
    keys: [signer.keyId],
    parents: [],
    issuer,
  });
  return { bytes, digest: digestOf(bytes), leaf };
}

/** Documents of what an artifact is made of; a version may follow. @source https://github.com/in-toto/attestation, spec/predicates */
const SBOM_TYPES = ['https://cyclonedx.org/bom', 'https://spdx.dev/Document'] as const;

/** The stage of the lifecycle that a predicate speaks of. */
function kindOf(predicateType: string): LeafKind {
  if (predicateType === SLSA_PROVENANCE_TYPE) return 'build';
  if (predicateType === SOURCE_PREDICATE_TYPE) return 'source';
  if (SBOM_TYPES.some((type) => predicateType === type || predicateType.startsWith(`${type}/`))) return 'deps';
  if (predicateType.startsWith('https://in-toto.io/attestation/test-result/')) return 'test';
  return predicateType.startsWith('https://in-toto.io/attestation/vulns/') ? 'vuln' : 'package';
}
