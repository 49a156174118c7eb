// Reads a pinned Sigstore trusted root: the authorities that may vouch, each only from the start of its validity.
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { toTrustMaterial } from '@sigstore/verify';
import { z } from 'zod';

import { exitStatus, KIB, messageOf, MIB } from '../../base/index.ts';
import { decodeBase64 } from '../base64.ts';
import { ProvenanceError } from '../errors.ts';
import { excerptOf, faultsOf } from '../excerpt.ts';
import { parseStrictJson } from '../strict-json.ts';

/** The public-good root has 7 KiB. */
const ROOT_BYTES_MAX = MIB;

/** Authorities of one kind: a log is sharded about once a year. */
const AUTHORITIES_MAX = 64;

const base64 = z
  .string()
  .max(16 * KIB)
  .refine((text) => decodeBase64(text) !== null, 'not base64');

const time = z.iso.datetime({ offset: true });
const validFor = z.object({ start: time.optional(), end: time.optional() }).optional();

const log = z.object({
  baseUrl: z
    .string()
    .min(1)
    .max(2 * KIB),
  hashAlgorithm: z.literal('SHA2_256'),
  publicKey: z.object({ rawBytes: base64, keyDetails: z.string().max(64), validFor }),
  logId: z.object({ keyId: base64 }),
  checkpointKeyId: z.object({ keyId: base64 }).optional(),
});

const certificateAuthority = z.object({
  subject: z
    .object({ organization: z.string().max(KIB), commonName: z.string().max(KIB) })
    .partial()
    .optional(),
  uri: z
    .string()
    .max(2 * KIB)
    .optional(),
  certChain: z.object({
    certificates: z
      .array(z.object({ rawBytes: base64 }))
      .min(1)
      .max(8),
  }),
  validFor,
});

const logs = z.array(log).max(AUTHORITIES_MAX).default([]);
const certificateAuthorities = z.array(certificateAuthority).max(AUTHORITIES_MAX).default([]);

const wireRoot = z.object({
  mediaType: z
    .string()
    .regex(/^application\/vnd\.dev\.sigstore\.trustedroot(\+json;version=0\.[12]|\.v0\.[12]\+json)$/),
  tlogs: logs,
  ctlogs: logs,
  certificateAuthorities,
  timestampAuthorities: certificateAuthorities,
});

/** What the library verifies with. */
export type TrustMaterial = ReturnType<typeof toTrustMaterial>;

/**
 * Parses a trusted root in JSON, of at most 1 MiB. Without a start of its validity an authority is left out: the library takes
 * it for valid since 1970, and for a log that gives no time it asks for no validity at all.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_SIGSTORE_ROOT
 * @source https://github.com/sigstore/protobuf-specs, sigstore_trustroot.proto
 */
export function parseTrustedRoot(bytes: Uint8Array): TrustMaterial {
  const value = parseStrictJson(bytes, { what: 'the trusted root', bytesMax: ROOT_BYTES_MAX });
  const parsed = wireRoot.safeParse(value);
  if (!parsed.success) throw badRoot(faultsOf(parsed.error));
  const { mediaType, tlogs, ctlogs, certificateAuthorities: issuers, timestampAuthorities: clocks } = parsed.data;
  const started = {
    mediaType,
    tlogs: tlogs.filter(({ publicKey }) => publicKey.validFor?.start !== undefined),
    ctlogs: ctlogs.filter(({ publicKey }) => publicKey.validFor?.start !== undefined),
    certificateAuthorities: issuers.filter((issuer) => issuer.validFor?.start !== undefined),
    timestampAuthorities: clocks.filter((clock) => clock.validFor?.start !== undefined),
  };
  try {
    return toTrustMaterial(TrustedRoot.fromJSON(started));
  } catch (error) {
    throw badRoot(messageOf(error), error);
  }
}

function badRoot(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError(
    'PROVENANCE_SIGSTORE_ROOT',
    `the Sigstore trusted root cannot be used: ${excerptOf(why, 300)}`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'Give the trusted_root.json of the instance that signed, from a place that you trust.',
      cause,
    },
  );
}
