// Where code came from, provably: keys and trust, signed statements, and the leaves of the journal.
export { admitEnvelope, type AdmittedEnvelope } from './admit-envelope.ts';
export { attest, type Attestation, type AttestInput } from './attest.ts';
export {
  type AttestationStore,
  commitOfSource,
  openAttestationStore,
  type StoredAttestation,
} from './attestation-store.ts';
export { type AttestationLine, encodeAttestationLines, parseAttestationLines } from './attestation-lines.ts';
export {
  encodeEnvelope,
  type Envelope,
  ENVELOPE_MEDIA_TYPE,
  type EnvelopeSignature,
  parseEnvelope,
  type SignaturePolicy,
  signEnvelope,
  verifyEnvelope,
  verifyEnvelopeAsync,
} from './dsse.ts';
export { type PublicKey, type Signer } from './ed25519.ts';
export { excerptOf } from './excerpt.ts';
export { ProvenanceError, type ProvenanceErrorCode } from './errors.ts';
export { KEY_EVENT_MEDIA_TYPE } from './key-events.ts';
export { type KeyLog } from './key-log.ts';
export {
  type KeyEvent,
  type Keyring,
  openKeyring,
  type RevokeRequest,
  shortKeyId,
  type TrustRequest,
} from './keyring.ts';
export {
  DEPLOY_TYPE,
  isSbomType,
  kindOfPredicate,
  PACKAGE_TYPE,
  REPRODUCTION_TYPE,
  REVIEW_TYPE,
  RUNTIME_TRACE_TYPE,
  TEST_RESULT_TYPE,
} from './lifecycle.ts';
export { type KeyRecord, type KeyringState, type KnownKey, type TrustRecord, type TrustRole } from './key-records.ts';
export { requireOperator, signDocument } from './operator.ts';
export { type Leaf, type LeafInput, type LeafKind, leafKinds, makeLeaf, parseLeaf } from './leaf.ts';
export type { SigstoreBundle } from './sigstore/bundle.ts';
export { loadSigstore } from './sigstore/load.ts';
export type { SigstoreCheck, SigstoreIdentity, SigstoreVerification } from './sigstore/verify-bundle.ts';
export { type SignatureStatus, type SignatureVerdict } from './judge-signature.ts';
export { makeSlsaProvenance, parseSlsaProvenance, type SlsaProvenance } from './slsa/provenance.ts';
export { digestOfResource, type Resource } from './resource.ts';
export {
  makeVerificationSummary,
  parseVerificationSummary,
  VERIFICATION_SUMMARY_TYPE,
  type VerificationSummary,
} from './slsa/verification-summary.ts';
export {
  parseStatement,
  RELEASE_TYPE,
  SLSA_PROVENANCE_TYPE,
  type Statement,
  STATEMENT_MEDIA_TYPE,
  type Subject,
} from './statement.ts';
export {
  type ArtifactVerdict,
  type ProvenanceCaps,
  type Verification,
  verifyArtifact,
  type VerifyInput,
} from './verify-artifact.ts';
export { type Chain, type ChainLink, type ChainNode, nodesOf } from './chain/chain.ts';
export { ChainCache } from './chain/chain-cache.ts';
export { type ReceiptedEntry } from './chain/judge-link.ts';
export { type ChainInput, type ChainVerification, verifyChain } from './chain/verify-chain.ts';
export { type AllowedSigner } from './git/allowed-signers.ts';
export { type CommitSignature, verifyCommit } from './git/commit-signature.ts';
export { type GitCommit, type GitPerson, parseCommit } from './git/git-commit.ts';
export { readTreeFiles, type TreeFile, type TreeSelection } from './git/git-files.ts';
export { readTree, type TreeEntry } from './git/git-tree.ts';
export { type CommitHistory, type CommitRange, readCommits, readTreeSha256 } from './git/git-history.ts';
export { type GitObject, type ObjectFormat, type ObjectKind } from './git/git-object.ts';
export { type GitRepository, openRepository } from './git/git-repository.ts';
export { type KnownIdentity, type KnownSigners, parseSigners } from './git/known-signers.ts';
export { type OpenpgpKey } from './git/openpgp-signature.ts';
export {
  describeSource,
  SOURCE_PREDICATE_TYPE,
  type SourcePerson,
  type SourcePredicate,
} from './git/source-predicate.ts';
export {
  type Dependency,
  type DependencyFinding,
  type DependencyScope,
  type FindingKind,
  type Inventory,
} from './dependencies/dependency.ts';
export { type Hash, type HashAlgorithm } from './dependencies/hash.ts';
export { parseCycloneDx } from './dependencies/cyclonedx.ts';
export { parseSpdx } from './dependencies/spdx.ts';
export { type DependencyFile, isDependencyFile, parseSbom, readInventory } from './dependencies/inventory.ts';
export { type InstalledFile, parseMd5sums } from './dependencies/system-packages.ts';
export { checkIntegrity, checkModule, type IntegrityVerdict, type ModuleFile } from './dependencies/integrity.ts';
export { type OriginPolicy, parseOriginPolicy } from './dependencies/origin-policy.ts';
export { judgeOrigin, type OriginVerdict } from './dependencies/origin.ts';
export {
  CYCLONEDX_PREDICATE_TYPE,
  type DependencyDescription,
  type DependencyFault,
  describeDependencies,
  type DescribeInput,
  type JudgedDependency,
} from './dependencies/describe.ts';
export { isDockerfile, pinnedImages } from './build/base-images.ts';
export { builderId, type CommandBuild, describeBuild, type FinishedBuild, parseBuild } from './build/command-build.ts';
export { type BuildEnvironment, tellEnvironment, toolsIn, variablesToRepeat } from './build/environment.ts';
export { sourceUri } from './build/source-uri.ts';
export { parseJunit, parseTap, type TestReport } from './build/test-report.ts';
