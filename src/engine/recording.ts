// Entries of the journal: the document goes to the content store, its digest to the log.
import { parseDigest } from '../artifact/index.ts';
import { canonicalJson } from '../base/index.ts';
import { type KeyEvent, type LeafKind, makeLeaf } from '../provenance/index.ts';
import type { EngineContext } from './context.ts';

export interface Entry {
  readonly kind: LeafKind;
  /** Type of the document: a URI. */
  readonly type: string;
  readonly document: unknown;
  /** Digests of the artifacts that it is about. */
  readonly subjects: readonly string[];
  readonly parents: readonly number[];
  /** Ids of the keys that signed the document. */
  readonly keys?: readonly string[];
  /** Written at once: an admission, a raise. */
  readonly flush: boolean;
}

/** Types of the engine's own documents. */
export const documentTypes = {
  decision: 'https://provost.dev/document/decision/v1',
  incident: 'https://provost.dev/document/incident/v1',
  action: 'https://provost.dev/document/action/v1',
  override: 'https://provost.dev/document/override/v1',
  learning: 'https://provost.dev/document/learning/v1',
  baseline: 'https://provost.dev/document/baseline/v1',
  deploy: 'https://provost.dev/document/deploy/v1',
  key: 'https://provost.dev/document/key/v1',
  attestation: 'https://provost.dev/document/attestation/v1',
} as const;

/**
 * Records a document: durable in the content store first, then appended. Resolves to its index once the entry is durable.
 *
 * @throws LedgerError when the journal cannot take it; ArtifactError ARTIFACT_NO_SPACE
 */
export async function record(
  context: Pick<EngineContext, 'content' | 'home' | 'journal'>,
  entry: Entry,
): Promise<number> {
  const bytes = Buffer.from(canonicalJson(entry.document));
  await context.content.put(bytes);
  const leaf = makeLeaf({
    kind: entry.kind,
    document: bytes,
    type: entry.type,
    subjects: entry.subjects.map(parseDigest),
    keys: entry.keys ?? [],
    parents: entry.parents,
    issuer: issuerOf(context.home),
  });
  return context.journal.append(leaf, { flush: entry.flush });
}

/** Logs a change of the keyring: the document first, then the leaf. It counts once the keyring has committed it at this index. */
export async function logKeyEvent(
  { content, journal }: Pick<EngineContext, 'content' | 'journal'>,
  { document, leaf }: KeyEvent,
): Promise<number> {
  await content.put(document);
  return journal.append(leaf, { flush: true });
}

/** Who writes the entries of a home. */
export function issuerOf(home: { readonly id: string }): string {
  return `home:${home.id}`;
}
