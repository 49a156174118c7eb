// Reads Sigstore bundles: bounded and strict before the library sees them, which takes what is missing or odd for something else.
import { type Bundle, bundleFromJSON, ValidationError } from '@sigstore/bundle';
import { z } from 'zod';

import { exitStatus, KIB, messageOf, MIB } from '../../base/index.ts';
import { decodeBase64 } from '../base64.ts';
import { ENVELOPE_BYTES_MAX } from '../dsse.ts';
import { ProvenanceError } from '../errors.ts';
import { excerptOf, faultsOf } from '../excerpt.ts';
import { parseStrictJson } from '../strict-json.ts';

/** Largest bundle that is read: an envelope, in the log's entry once more for some kinds, and proofs. */
const BUNDLE_BYTES_MAX = 2 * ENVELOPE_BYTES_MAX;

/** Log entries and timestamps of one bundle: each costs a verification. Bundles in the field have one or two. */
const PROOFS_MAX = 8;

/** Siblings of one inclusion proof: enough for a log of 2^64 entries. */
const HASHES_MAX = 64;

const CERTIFICATE_BYTES_MAX = 16 * KIB;

/** The four media types of the versions that are read. @source https://docs.sigstore.dev/about/bundle/ */
const mediaTypes = [
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  'application/vnd.dev.sigstore.bundle.v0.3+json',
] as const;

const base64 = (charsMax: number) =>
  z
    .string()
    .max(charsMax)
    .refine((text) => decodeBase64(text) !== null, 'not base64');

// JSON of Protocol Buffers writes 64-bit numbers as text; 15 digits are exact in a double.
const int64 = z
  .union([z.string().regex(/^(0|[1-9][0-9]{0,14})$/, 'a whole number of at most 15 digits'), z.int().min(0)])
  .transform(String);

const certificate = z.object({ rawBytes: base64(CERTIFICATE_BYTES_MAX) });

const logEntry = z.object({
  // Protocol Buffers leave out what is zero.
  logIndex: int64.default('0'),
  logId: z.object({ keyId: base64(KIB) }),
  kindVersion: z.object({ kind: z.string().max(64), version: z.string().max(64) }),
  integratedTime: int64.default('0'),
  inclusionPromise: z.object({ signedEntryTimestamp: base64(4 * KIB) }).optional(),
  inclusionProof: z
    .object({
      logIndex: int64.default('0'),
      rootHash: base64(KIB),
      treeSize: int64,
      hashes: z.array(base64(KIB)).max(HASHES_MAX).default([]),
      checkpoint: z.object({ envelope: z.string().max(16 * KIB) }).optional(),
    })
    .optional(),
  canonicalizedBody: base64(BUNDLE_BYTES_MAX),
});

const material = z.object({
  certificate: certificate.optional(),
  x509CertificateChain: z.object({ certificates: z.array(certificate).min(1).max(8) }).optional(),
  tlogEntries: z.array(logEntry).max(PROOFS_MAX).default([]),
  timestampVerificationData: z
    .object({
      rfc3161Timestamps: z
        .array(z.object({ signedTimestamp: base64(MIB) }))
        .max(PROOFS_MAX)
        .default([]),
    })
    .optional(),
});

// Fields that are not named are left out, so that what this does not bound never reaches the library.
const wireBundle = z
  .object({
    mediaType: z.enum(mediaTypes),
    verificationMaterial: material.refine(
      (value) => (value.certificate === undefined) !== (value.x509CertificateChain === undefined),
      'one certificate or one chain; a bundle that names a key has no identity',
    ),
    messageSignature: z
      .object({
        messageDigest: z.object({ algorithm: z.enum(['SHA2_256', 'SHA2_384', 'SHA2_512']), digest: base64(KIB) }),
        signature: base64(4 * KIB),
      })
      .optional(),
    dsseEnvelope: z
      .object({
        payload: base64(BUNDLE_BYTES_MAX),
        payloadType: z.string().min(1).max(KIB),
        signatures: z.array(z.object({ sig: base64(4 * KIB), keyid: z.string().max(KIB).default('') })).length(1),
      })
      .optional(),
  })
  .refine((value) => (value.messageSignature === undefined) !== (value.dsseEnvelope === undefined), {
    error: 'it holds one message signature or one envelope',
  });

/** A bundle that was read and not yet verified: nothing in it may be believed. */
export interface SigstoreBundle {
  /** `attestation`: an envelope with a statement; `signature`: over an artifact's bytes. */
  readonly kind: 'attestation' | 'signature';
  readonly content: Bundle;
}

/**
 * Parses a Sigstore bundle of version 0.1, 0.2 or 0.3, signed with a certificate, in JSON of at most 16 MiB.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_SIGSTORE_BUNDLE
 * @source https://github.com/sigstore/protobuf-specs, sigstore_bundle.proto
 */
export function parseSigstoreBundle(bytes: Uint8Array): SigstoreBundle {
  const value = parseStrictJson(bytes, { what: 'the Sigstore bundle', bytesMax: BUNDLE_BYTES_MAX });
  const parsed = wireBundle.safeParse(value);
  if (!parsed.success) throw badBundle(faultsOf(parsed.error));
  const kind = parsed.data.dsseEnvelope === undefined ? 'signature' : 'attestation';
  try {
    return { kind, content: bundleFromJSON(parsed.data) };
  } catch (error) {
    const fields = error instanceof ValidationError ? error.fields : undefined;
    throw badBundle(`${messageOf(error)} ${fields?.join(', ') ?? ''}`, error);
  }
}

/** The refusal of a bundle that cannot be read. */
export function badBundle(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError(
    'PROVENANCE_SIGSTORE_BUNDLE',
    `the Sigstore bundle cannot be read: ${excerptOf(why, 300)}`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'Get it again from where it was made; versions 0.1 to 0.3 with a certificate are read.',
      cause,
    },
  );
}
