// `verify` as a use case: what the attestations about an artifact add up to, without a supervisor.
import type { Digest } from '../artifact/index.ts';
import { type ExitStatus, exitStatus } from '../base/index.ts';
import {
  type SignatureVerdict,
  type StoredAttestation,
  verifyArtifact,
  type VerifyInput,
} from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import {
  type AttestationFile,
  encodeAttestationFile,
  type FileAttestation,
  readAttestationFile,
} from './attestation-file.ts';
import { openReadContext, type ReadOptions } from './reading.ts';
import { type SignedSummary, summarise } from './summarising.ts';

export interface VerificationDocument {
  readonly artifact: { readonly digest: string; readonly name: string };
  readonly verdict: string;
  readonly signatures: readonly {
    readonly keyName: string;
    readonly status: string;
    readonly predicateType: string;
    readonly reason: string;
    /** Where it stands in the file that was given; left out for the home's own. */
    readonly line?: number;
  }[];
}

function signatureDocument(
  { envelopeDigest, keyName, keyId, status, predicateType, reason }: SignatureVerdict,
  lines: ReadonlyMap<Digest, number>,
): VerificationDocument['signatures'][number] {
  const line = lines.get(envelopeDigest);
  return {
    keyName: keyName ?? keyId?.slice(0, 12) ?? 'unknown',
    status,
    predicateType: predicateType ?? 'unknown',
    reason,
    ...(line === undefined ? {} : { line }),
  };
}

const exitOfVerdict: ReadonlyMap<string, ExitStatus> = new Map([
  ['verified', exitStatus.done],
  ['unsigned', exitStatus.evidenceMissing],
  ['untrusted', exitStatus.evidenceMissing],
]);

/** What beside the verdict is asked for. */
export interface VerifyOptions extends ReadOptions {
  /** Attestations that count beside the home's own, and are not kept; null: none. */
  readonly attestations: AttestationFile | null;
  /** Asks for the home's attestations, for others. */
  readonly isExported: boolean;
  /** Name or id of the key that signs a summary; null: none is made. */
  readonly summaryKey: string | null;
}

/** What was found, and what was asked for beside. */
export interface Verified {
  readonly document: VerificationDocument;
  readonly exit: ExitStatus;
  /** The home's attestations one a line, and how many they are. */
  readonly exported: { readonly bytes: Buffer; readonly count: number } | null;
  readonly summary: SignedSummary | null;
}

/**
 * Checks who signed an artifact. Everything but `verified` is a failure of some kind. Changes nothing.
 *
 * @throws EngineError ENGINE_ATTESTATIONS when the file cannot be read, or what is exported was damaged;
 * ProvenanceError PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_KEY_PRIVATE, PROVENANCE_VSA for the summary;
 * ArtifactError any of its codes
 */
export async function verifyReference(options: VerifyOptions): Promise<Verified> {
  await using context = await openReadContext(options.homeDir);
  const { home, keyring, clock, attestations } = context;
  const { policy } = context.policy;
  const signer = options.summaryKey === null ? null : keyring.openSigner(options.summaryKey);
  const artifact = await readArtifact(context, options, options.progress);
  const kept = attestations.list(artifact.digest);
  const given = options.attestations === null ? [] : readNew(options.attestations, artifact.digest, kept);
  const input: VerifyInput = {
    artifact,
    attestations: [...kept, ...given],
    keyring: keyring.state(),
    nowMs: clock.nowMs(),
    caps: policy.trust.caps,
  };
  const verification = verifyArtifact(input);
  const lines = new Map(given.map(({ digest, line }) => [digest, line]));
  return {
    document: {
      artifact: { digest: artifact.digest, name: artifact.name },
      verdict: verification.verdict,
      signatures: verification.signatures.map((one) => signatureDocument(one, lines)),
    },
    exit: exitOfVerdict.get(verification.verdict) ?? exitStatus.verificationFailed,
    exported: options.isExported ? { bytes: encodeAttestationFile(kept), count: kept.length } : null,
    summary:
      signer === null ? null : summarise({ home, artifact, input, verification, policyDigest: policy.digest, signer }),
  };
}

/** The lines of a file that say something new: a home's own may be in it too, or one twice. */
function readNew(file: AttestationFile, artifact: Digest, kept: readonly StoredAttestation[]): FileAttestation[] {
  const seen = new Set(kept.map(({ digest }) => digest));
  return readAttestationFile(file, artifact).filter(({ digest }) => !seen.has(digest) && seen.add(digest));
}
