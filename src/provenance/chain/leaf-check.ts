// Whether a log's entry is that of an attestation: recomputed from the envelope, never taken from what comes with it.
import { canonicalJson, messageOf } from '../../base/index.ts';
import { ENTRY_BYTES_MAX } from '../../ledger/index.ts';
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
  attestation: StoredAttestation,
  read: Pick<ReadAttestation, 'envelope' | 'statement'>,
): string | null {
  if (entry === null) return 'the log has no such entry';
  if (entry.length > ENTRY_BYTES_MAX) return 'no entry of a log is so long';
  try {
    return compare(entry, expectedLeaf(attestation, read));
  } catch (error) {
    // Whatever keeps it from being read, it is not the entry that was to be there.
    return messageOf(error);
  }
}

function expectedLeaf(
  { digest, bytes }: StoredAttestation,
  { envelope, statement }: Pick<ReadAttestation, 'envelope' | 'statement'>,
): Pick<Leaf, 'kind' | 'document' | 'subjects' | 'keys'> {
  return {
    kind: kindOfPredicate(statement.predicateType),
    document: { digest, bytes: bytes.length, type: ENVELOPE_MEDIA_TYPE },
    subjects: statement.subjects.map((subject) => subject.digest),
    keys: envelope.signatures.flatMap(({ keyId }) => (keyId !== null && KEY_ID.test(keyId) ? [keyId] : [])),
  };
}

function compare(entry: Uint8Array, expected: ReturnType<typeof expectedLeaf>): string | null {
  const text = Buffer.from(entry).toString();
  // One leaf has one form: with what only the log's writer knows taken from it, it must be this very text.
  const { parents, issuer } = JSON.parse(text) as Pick<Leaf, 'parents' | 'issuer'>;
  if (canonicalJson({ ...expected, parents, issuer }) === text) return null;
  const leaf = parseLeaf(entry);
  const fields = ['kind', 'document', 'subjects', 'keys'] as const;
  const wrong = fields.filter((field) => canonicalJson(leaf[field]) !== canonicalJson(expected[field]));
  return `the log's entry is another one's: ${wrong.join(', ')}`;
}
