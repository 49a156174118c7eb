// `verify --bundle` as a use case: what a Sigstore bundle says about an artifact, offline, without supervisor and keyring.
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { isDigest, parseReference } from '../artifact/index.ts';
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
 * Verifies a bundle about an artifact. Of an attested one the digest is enough, also when it was never here.
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
  const { reference, rootfs } = options;
  if (isDigest(reference)) return { name: reference, known: reference };
  // What signs bytes signs those of the file, also when they are an image's, which has another digest.
  if (kind === 'signature' && !rootfs && isFile(reference)) {
    return { name: basename(reference), known: readBytes(reference) };
  }
  await using stack = new AsyncDisposableStack();
  const content = await openReadContent(homeAt(options.homeDir), stack);
  const { name, digest } = await readArtifact({ content }, options, options.progress);
  return { name, known: digest };
}

function isFile(reference: string): boolean {
  return parseReference(reference).kind === 'path' && statSync(reference, { throwIfNoEntry: false })?.isFile() === true;
}

function readBytes(path: string): Buffer {
  if (statSync(path).size <= SIGNED_BYTES_MAX) return readFileSync(path);
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
