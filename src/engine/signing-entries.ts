// Entries that say what a person decided: signed by that person's key, or by the home's own.
import { ENVELOPE_MEDIA_TYPE, type KnownKey, requireOperator, signDocument } from '../provenance/index.ts';
import type { EngineContext } from './context.ts';
import { type Entry, record } from './recording.ts';

/** Name of the key by which a home signs what nobody else did. */
const HOST_KEY_NAME = 'host';

interface PersonalEntry extends Entry {
  readonly document: Readonly<Record<string, unknown>>;
}

interface Author {
  /** Name or id of the person's key; null: nobody in particular. */
  readonly key: string | null;
  /** What the scope of an operator's trust is matched with. */
  readonly artifactName: string;
}

/**
 * Records what a person decided, in an envelope that says who signed it: an operator, or the host for whoever reached its socket. A
 * home without a key of its own writes it unsigned.
 *
 * @throws ProvenanceError PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_KEY_PRIVATE, PROVENANCE_KEY_ROLE
 */
export function recordPersonal(context: EngineContext, entry: PersonalEntry, author: Author): Promise<number> {
  const key = author.key === null ? hostKey(context) : operatorKey(context, author.key, entry.type, author);
  if (key === null) return record(context, entry);
  const signedBy = { as: author.key === null ? 'host' : 'operator', key: key.name, owner: key.owner };
  const signer = context.keyring.openSigner(key.id);
  const envelope = signDocument(entry.type, { ...entry.document, signedBy }, signer);
  const document: unknown = JSON.parse(envelope.toString());
  return record(context, { ...entry, type: ENVELOPE_MEDIA_TYPE, document, keys: [key.id] });
}

function operatorKey(
  { keyring, clock }: EngineContext,
  nameOrId: string,
  type: string,
  { artifactName }: Author,
): KnownKey {
  const key = keyring.findKey(nameOrId);
  requireOperator(keyring.state(), key, { type, artifactName, nowMs: clock.nowMs() });
  return key;
}

/** Null when the home has none that can sign. */
function hostKey({ keyring }: EngineContext): KnownKey | null {
  const key = keyring.state().keys.findLast(({ name }) => name === HOST_KEY_NAME) ?? null;
  return key !== null && key.revoked === null && keyring.hasPrivate(key.id) ? key : null;
}
