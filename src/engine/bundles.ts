// `verify --bundle` as a use case: what a Sigstore bundle says about an artifact, offline, without supervisor and keyring.
import { readFileSync, statSync } from 'node:fs';

import { type Artifact, isDigest } from '../artifact/index.ts';
import { exitStatus, GIB, rfc3339 } from '../base/index.ts';
import {
  parseSigstoreBundle,
  type SigstoreBundle,
  type SigstoreIdentity,
  type SigstoreVerification,
  verifySigstoreBundle,
} from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import { EngineError } from './errors.ts';
import { homeAt } from './home.ts';
import { openReadContent, type ReadOptions } from './reading.ts';

/** Largest file whose bytes are held against a signature: they are all in memory at once. */
const SIGNED_BYTES_MAX = GIB;

/** Of which artifact, by which bundle, and who may have signed it. */
export interface BundleOptions extends ReadOptions {
  readonly bundle: Uint8Array;
  /** `trusted_root.json` of the Sigstore instance. */
  readonly trustedRoot: Uint8Array;
  readonly identities: readonly SigstoreIdentity[];
}

/** A verified bundle, as `verify --bundle --json` prints it. Names are those of strangers. */
export interface BundleDocument {
  readonly artifact: { readonly digest: string; readonly name: string };
  readonly verdict: 'verified';
  readonly signer: { readonly issuer: string; readonly subject: string };
  readonly logIndex: number;
  /** When the log took it, by its own word. */
  readonly logged: string | null;
  /** When a timestamp authority saw it. */
  readonly stamped: string | null;
  /** Null: the bundle signs the artifact's bytes and says nothing else. */
  readonly statement: {
    readonly predicateType: string;
    readonly subjects: readonly { readonly name: string | null; readonly digest: string }[];
  } | null;
}

/**
 * Verifies a bundle about an artifact. For an attestation a digest is enough, even of an artifact that was never here.
 *
 * @throws ProvenanceError as `parseSigstoreBundle` and `verifySigstoreBundle`; ArtifactError any of its codes;
 * EngineError ENGINE_ATTESTATIONS when a signature is over more than 1 GiB
 */
export async function verifyBundle(options: BundleOptions): Promise<BundleDocument> {
  const bundle = parseSigstoreBundle(options.bundle);
  const { name, known } = await readSubject(options, bundle);
  const { trustedRoot, identities } = options;
  return documentOf(name, verifySigstoreBundle(bundle, { trustedRoot, policy: { identities }, artifact: known }));
}

type Subject = Parameters<typeof verifySigstoreBundle>[1]['artifact'];

async function readSubject(
  options: BundleOptions,
  { kind }: SigstoreBundle,
): Promise<{ readonly name: string; readonly known: Subject }> {
  const { reference } = options;
  if (kind === 'attestation' && isDigest(reference)) return { name: reference, known: reference };
  await using stack = new AsyncDisposableStack();
  const content = await openReadContent(homeAt(options.homeDir), stack);
  const artifact = await readArtifact({ content }, options, options.progress);
  const isOverBytes = kind === 'signature' && artifact.kind === 'file';
  return { name: artifact.name, known: isOverBytes ? bytesOf(artifact) : artifact.digest };
}

/** The bytes of a file. Who reads them again, and not its digest, verifies what is there now. */
function bytesOf({ reference }: Artifact): Buffer {
  if (statSync(reference).size <= SIGNED_BYTES_MAX) return readFileSync(reference);
  throw new EngineError('ENGINE_ATTESTATIONS', `the artifact has more than ${SIGNED_BYTES_MAX} bytes`, {
    exit: exitStatus.verificationFailed,
    hint: 'A signature over so many bytes is not verified; have its digest attested instead.',
  });
}

function documentOf(name: string, verified: SigstoreVerification): BundleDocument {
  const { signer, artifact: digest, statement, logIndex, integratedMs, timestampMs } = verified;
  return {
    artifact: { digest, name },
    verdict: 'verified',
    signer,
    logIndex,
    logged: integratedMs === null ? null : rfc3339(integratedMs),
    stamped: timestampMs === null ? null : rfc3339(timestampMs),
    statement: statement === null ? null : { predicateType: statement.predicateType, subjects: statement.subjects },
  };
}
