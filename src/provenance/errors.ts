// What can go wrong with keys, envelopes, statements and leaves.
import { ProvostError } from '../base/index.ts';

export type ProvenanceErrorCode =
  | 'PROVENANCE_JSON'
  | 'PROVENANCE_ENVELOPE'
  | 'PROVENANCE_STATEMENT'
  | 'PROVENANCE_SIGNATURE'
  | 'PROVENANCE_KEY_FORM'
  | 'PROVENANCE_KEY_UNKNOWN'
  | 'PROVENANCE_KEY_EXISTS'
  | 'PROVENANCE_KEY_RETIRED'
  | 'PROVENANCE_KEY_PRIVATE'
  | 'PROVENANCE_KEYRING'
  | 'PROVENANCE_TRUST'
  | 'PROVENANCE_ATTESTATIONS_FULL'
  | 'PROVENANCE_LEAF'
  | 'PROVENANCE_DEPENDENCIES'
  | 'PROVENANCE_ORIGIN_POLICY';

export class ProvenanceError extends ProvostError<ProvenanceErrorCode> {}
