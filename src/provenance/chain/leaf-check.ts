// Whether a log's entry is that of an attestation: recomputed from the envelope, never taken from what comes with it.
import { canonicalJson, messageOf } from '../../base/index.ts';
import type { StoredAttestation } from '../attestation-store.ts';
import { ENVELOPE_MEDIA_TYPE } from '../dsse.ts';
import { type Leaf, parseLeaf } from '../leaf.ts';
import { kindOfPredicate } from '../lifecycle.ts';
import type { ReadAttestation } from './chain-cache.ts';

const KEY_ID = /^[0-9a-f]{64}$/;

/**
 * Why an entry is not that of the attestation; null when it is. What an envelope does not say (who wrote the entry, and after
 * which) is not compared.
 *
 * @param entry as the log has it; null when it has none there
 */
export function leafFault(
  entry: Uint8Array | null,
  { digest, bytes }: StoredAttestation,
  { envelope, statement }: Pick<ReadAttestation, 'envelope' | 'statement'>,
): string | null {
  if (entry === null) return 'the log has no such entry';
  let leaf: Leaf;
  try {
    leaf = parseLeaf(entry);
  } catch (error) {
    return messageOf(error);
  }
  const { parents: _, issuer: __, ...said } = leaf;
  const expected = {
    kind: kindOfPredicate(statement.predicateType),
    document: { digest, bytes: bytes.length, type: ENVELOPE_MEDIA_TYPE },
    subjects: statement.subjects.map((subject) => subject.digest),
    keys: envelope.signatures.flatMap(({ keyId }) => (keyId !== null && KEY_ID.test(keyId) ? [keyId] : [])),
  };
  const fields = ['kind', 'document', 'subjects', 'keys'] as const;
  const wrong = fields.filter((field) => canonicalJson(said[field]) !== canonicalJson(expected[field]));
  return wrong.length === 0 ? null : `the log's entry is another one's: ${wrong.join(', ')}`;
}
