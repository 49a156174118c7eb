// `verify` as a use case: what the attestations about an artifact add up to, without a supervisor.
import { type ExitStatus, exitStatus } from '../base/index.ts';
import type { SignatureVerdict } from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import { verify } from './assessing.ts';
import { openReadContext, type ReadOptions } from './reading.ts';

export interface VerificationDocument {
  readonly artifact: { readonly digest: string; readonly name: string };
  readonly verdict: string;
  readonly signatures: readonly {
    readonly keyName: string;
    readonly status: string;
    readonly predicateType: string;
    readonly reason: string;
  }[];
}

function signatureDocument(signature: SignatureVerdict): VerificationDocument['signatures'][number] {
  const { keyName, keyId, status, predicateType, reason } = signature;
  return {
    keyName: keyName ?? keyId?.slice(0, 12) ?? 'unknown',
    status,
    predicateType: predicateType ?? 'unknown',
    reason,
  };
}

const exitOfVerdict: ReadonlyMap<string, ExitStatus> = new Map([
  ['verified', exitStatus.done],
  ['unsigned', exitStatus.evidenceMissing],
  ['untrusted', exitStatus.evidenceMissing],
]);

/** Checks who signed an artifact. Everything but `verified` is a failure of some kind. */
export async function verifyReference(
  options: ReadOptions,
): Promise<{ readonly document: VerificationDocument; readonly exit: ExitStatus }> {
  await using context = await openReadContext(options.homeDir);
  const artifact = await readArtifact(context, options, options.progress);
  const verified = verify(context, artifact, context.policy.policy);
  return {
    document: {
      artifact: { digest: artifact.digest, name: artifact.name },
      verdict: verified.verdict,
      signatures: verified.signatures.map(signatureDocument),
    },
    exit: exitOfVerdict.get(verified.verdict) ?? exitStatus.verificationFailed,
  };
}
