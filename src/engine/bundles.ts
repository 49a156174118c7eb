// `verify --bundle` as a use case: what a Sigstore bundle says about an artifact, offline, without supervisor and keyring.
import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';

import { isDigest, parseReference } from '../artifact/index.ts';
import { exitStatus, GIB, rfc3339 } from '../base/index.ts';
import {
  loadSigstore,
  type SigstoreBundle,
  type SigstoreCheck,
  type SigstoreIdentity,
  type SigstoreVerification,
  type Statement,
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
  const { parseSigstoreBundle, verifySigstoreBundle } = await loadSigstore();
  const bundle = parseSigstoreBundle(options.bundle);
  const { name, known } = await readSubject(options, bundle);
  const { trustedRoot, identities } = options;
  return documentOf(name, verifySigstoreBundle(bundle, { trustedRoot, policy: { identities }, ...known }));
}

type Subject = Pick<SigstoreCheck, 'artifact' | 'sha512'>;

async function readSubject(
  options: BundleOptions,
  { kind }: SigstoreBundle,
): Promise<{ readonly name: string; readonly known: Subject }> {
  const { reference, rootfs } = options;
  if (isDigest(reference)) return { name: reference, known: { artifact: reference } };
  const hasBytes = !rootfs && isFile(reference);
  // What signs bytes signs those of the file, also when they are an image's, which has another digest.
  if (kind === 'signature' && hasBytes) return { name: basename(reference), known: { artifact: readBytes(reference) } };
  await using stack = new AsyncDisposableStack();
  const content = await openReadContent(homeAt(options.homeDir), stack);
  const { name, digest } = await readArtifact({ content }, options, options.progress);
  if (!hasBytes) return { name, known: { artifact: digest } };
  return { name, known: { artifact: digest, sha512: () => hash('sha512', readBytes(reference)) } };
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
    statement: statement === null ? null : { predicateType: statement.predicateType, subjects: subjectsOf(statement) },
  };
}

/** By SHA-256; those that have none by SHA-512, without their names. */
function subjectsOf({ subjects, sha512Subjects }: Statement): NonNullable<BundleDocument['statement']>['subjects'] {
  return [...subjects, ...sha512Subjects.map((hex) => ({ name: null, digest: `sha512:${hex}` }))];
}
