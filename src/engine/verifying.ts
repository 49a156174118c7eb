// `verify` as a use case: what the attestations about an artifact and its whole chain add up to, without a supervisor.
import type { Digest } from '../artifact/index.ts';
import { type ExitStatus, exitStatus } from '../base/index.ts';
import {
  type AttestationStore,
  type Chain,
  nodesOf,
  type SignatureVerdict,
  type VerifyInput,
} from '../provenance/index.ts';
import type { Cap, Evidence } from '../trust/index.ts';
import { readArtifact } from './admission.ts';
import { type Beside, verifyLoaded } from './assessing.ts';
import { type AttestationFile, type AttestationIndex, readAttestationFile } from './attestation-file.ts';
import { chainDocument, type ChainNodeDocument } from './chain-document.ts';
import { exportChain, readReceipts, type ReceiptFile } from './chain-receipts.ts';
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
  /** Everything that was found on the way back to its commits. */
  readonly chain: ChainNodeDocument;
  /** True when the chain was larger than what is looked at: then nothing of it counts. */
  readonly isTruncated: boolean;
  /** What the chain is worth, and what limits the score. */
  readonly evidence: readonly Evidence[];
  readonly caps: readonly Cap[];
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
  ['unsigned', exitStatus.evidenceMissing],
  ['untrusted', exitStatus.evidenceMissing],
]);

/** What beside the verdict is asked for. */
export interface VerifyOptions extends ReadOptions {
  /** Attestations that count beside the home's own, and are not kept; null: none. */
  readonly attestations: AttestationFile | null;
  /** Receipts for those, of a log with this public key; null: none. */
  readonly receipts: ReceiptFile | null;
  /** Asks for the home's attestations, for others. */
  readonly isExported: boolean;
  /** Asks for receipts that the home's log has them. */
  readonly areReceiptsExported: boolean;
  /** Name or id of the key that signs a summary; null: none is made. */
  readonly summaryKey: string | null;
}

/** What was found, and what was asked for beside. */
export interface Verified {
  readonly document: VerificationDocument;
  readonly exit: ExitStatus;
  /** The attestations of the chain that the home has, one a line, how many they are, and their receipts if they were asked for. */
  readonly exported: { readonly bytes: Buffer; readonly count: number; readonly receipts: Buffer | null } | null;
  readonly summary: SignedSummary | null;
}

/**
 * Checks who signed an artifact and all that leads to it. Everything but `verified` is a failure of some kind. Changes nothing.
 *
 * @throws EngineError ENGINE_ATTESTATIONS when the file cannot be read, or what is exported was damaged; ENGINE_RECEIPTS for a file
 * of receipts that is none, or when one cannot be given; ProvenanceError PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED,
 * PROVENANCE_KEY_PRIVATE, PROVENANCE_VSA for the summary; ArtifactError any of its codes; LedgerError when the log cannot be read
 */
export async function verifyReference(options: VerifyOptions): Promise<Verified> {
  await using context = await openReadContext(options.homeDir);
  const { home, keyring, clock, attestations } = context;
  const { policy } = context.policy;
  const signer = options.summaryKey === null ? null : keyring.openSigner(options.summaryKey);
  const artifact = await readArtifact(context, options, options.progress);
  const file = options.attestations === null ? null : readAttestationFile(options.attestations, artifact.digest);
  const beside = file === null ? undefined : besideOf(file, attestations, options.receipts);
  const verification = await verifyLoaded(context, artifact, policy, beside);
  const { verdict, signatures, findings, chain } = verification;
  const lines = linesBeside(chain, file);
  const input: VerifyInput = {
    artifact,
    attestations: [...attestations.list(artifact.digest), ...(beside?.attestationsOf(artifact.digest) ?? [])],
    keyring: keyring.state(),
    nowMs: clock.nowMs(),
    caps: policy.trust.caps,
  };
  return {
    document: {
      artifact: { digest: artifact.digest, name: artifact.name },
      verdict,
      signatures: signatures.map((one) => signatureDocument(one, lines)),
      chain: chainDocument(chain, lines),
      isTruncated: chain.isTruncated,
      ...findings,
    },
    exit: verdict === 'verified' ? exitStatus.done : (exitOfVerdict.get(verdict) ?? exitStatus.verificationFailed),
    exported: options.isExported ? await exportChain(context, chain, options.areReceiptsExported) : null,
    summary:
      signer === null ? null : summarise({ home, artifact, input, verification, policyDigest: policy.digest, signer }),
  };
}

/** Where those attestations stand that came from the file alone. */
function linesBeside({ root }: Chain, file: AttestationIndex | null): ReadonlyMap<Digest, number> {
  const links = nodesOf(root).flatMap((node) => node.links);
  const own = new Set(links.filter(({ entry }) => entry?.log === null).map(({ envelopeDigest }) => envelopeDigest));
  return new Map([...(file?.lines ?? [])].filter(([digest]) => !own.has(digest)));
}

/** What the file says that the home does not have. */
function besideOf(file: AttestationIndex, kept: AttestationStore, receipts: ReceiptFile | null): Beside {
  return {
    attestationsOf: (subject) => {
      const known = new Set(kept.list(subject).map(({ digest }) => digest));
      return (file.bySubject.get(subject) ?? []).filter(({ digest }) => !known.has(digest));
    },
    commitDigestOf: (commit) => file.commits.get(commit) ?? null,
    ...(receipts === null ? {} : { receipts: readReceipts(receipts) }),
  };
}
