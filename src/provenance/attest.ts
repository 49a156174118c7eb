// Attesting: signs a statement about artifacts.
import { type Digest, digestOf } from '../artifact/index.ts';
import { encodeEnvelope, ENVELOPE_MEDIA_TYPE, signEnvelope } from './dsse.ts';
import type { Signer } from './ed25519.ts';
import { makeLeaf } from './leaf.ts';
import { kindOfPredicate } from './lifecycle.ts';
import { makeStatement, STATEMENT_MEDIA_TYPE } from './statement.ts';

/** What is attested, and by whom. */
export interface AttestInput {
  /** What the statement is about: 1 to 32, as many as a leaf names. */
  readonly subjects: readonly { readonly name: string; readonly digest: Digest }[];
  readonly predicateType: string;
  /** A JSON object. */
  readonly predicate: unknown;
  readonly signer: Signer;
  /** Who the leaf says wrote it, such as `home:3f9a01`. */
  readonly issuer: string;
  /** Indexes of the entries that it follows from; none when left out. */
  readonly parents?: readonly number[];
}

/** A signed envelope in its one encoding, its digest, and the journal's leaf for it. */
export interface Attestation {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly leaf: Buffer;
}

/**
 * Makes an in-toto Statement v1 about the artifacts in a DSSE envelope.
 *
 * @throws ProvenanceError PROVENANCE_STATEMENT when the predicate type is no URI or the predicate no object, PROVENANCE_LEAF for
 * more subjects than a leaf names
 */
export function attest({ subjects, predicateType, predicate, signer, issuer, parents = [] }: AttestInput): Attestation {
  const statement = makeStatement(subjects, predicateType, predicate);
  const bytes = encodeEnvelope(signEnvelope(STATEMENT_MEDIA_TYPE, statement, [signer]));
  const leaf = makeLeaf({
    kind: kindOfPredicate(predicateType),
    document: bytes,
    type: ENVELOPE_MEDIA_TYPE,
    subjects: subjects.map(({ digest }) => digest),
    keys: [signer.keyId],
    parents,
    issuer,
  });
  return { bytes, digest: digestOf(bytes), leaf };
}
