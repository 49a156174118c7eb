// Operators: whose word on what runs here counts, and how it is signed. Pure.
import { canonicalJson, exitStatus } from '../base/index.ts';
import { encodeEnvelope, signEnvelope } from './dsse.ts';
import type { Signer } from './ed25519.ts';
import { ProvenanceError } from './errors.ts';
import { excerptOf } from './excerpt.ts';
import { isInScope } from './glob.ts';
import type { KeyringState, KnownKey } from './key-records.ts';

/** What an operator says: the type of the document, and the name of the artifact that it is about. */
export interface OperatorAct {
  readonly type: string;
  readonly artifactName: string;
  readonly nowMs: number;
}

/**
 * Refuses a key that may not say this: it needs trust as operator, for the artifact, and for this type where the trust names types.
 *
 * @throws ProvenanceError PROVENANCE_KEY_ROLE
 */
export function requireOperator({ trust }: KeyringState, key: KnownKey, act: OperatorAct): void {
  const { type, artifactName, nowMs } = act;
  const isAllowed = trust.some(
    ({ keyId, role, scope, predicateTypes, sinceMs, expiresMs }) =>
      keyId === key.id &&
      role === 'operator' &&
      isInScope(scope, artifactName) &&
      (predicateTypes.length === 0 || predicateTypes.includes(type)) &&
      sinceMs <= nowMs &&
      (expiresMs === null || nowMs < expiresMs),
  );
  if (isAllowed) return;
  const of = excerptOf(artifactName, 200);
  throw new ProvenanceError('PROVENANCE_KEY_ROLE', `key '${key.name}' is not trusted as operator for '${of}'`, {
    exit: exitStatus.denied,
    hint: `Sign with an operator's key, or let an administrator say: provost key trust ${key.name} --role operator.`,
  });
}

/** Signs a document of the ledger; its type is the payload's. */
export function signDocument(type: string, document: unknown, signer: Signer): Buffer {
  return encodeEnvelope(signEnvelope(type, Buffer.from(canonicalJson(document)), [signer]));
}
