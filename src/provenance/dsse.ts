// DSSE envelopes: signatures over a typed payload, where the bytes that were verified are the bytes that are parsed.
import { z } from 'zod';

import { canonicalJson, exitStatus, KIB, MIB } from '../base/index.ts';
import { decodeBase64 } from './base64.ts';
import { isSignatureOf, isSignatureOfAsync, type PublicKey, type Signer } from './ed25519.ts';
import { ProvenanceError } from './errors.ts';
import { excerptOf, faultsOf } from './excerpt.ts';
import { parseStrictJson } from './strict-json.ts';

/** Largest envelope that is read: an SBOM of a large image as predicate has about 2 MiB. */
export const ENVELOPE_BYTES_MAX = 8 * MIB;

/** Signatures of one envelope that are looked at: each costs a verification. */
const SIGNATURES_MAX = 16;

/** Keys that are tried on a signature that names none of them: bounds what a stranger's envelope can cost. */
const UNNAMED_KEYS_MAX = 64;

/** Such tries for all signatures of one envelope: each hashes the payload, which may have megabytes. */
const UNNAMED_TRIES_MAX = 2 * UNNAMED_KEYS_MAX;

/** Media type of an envelope in JSON. */
export const ENVELOPE_MEDIA_TYPE = 'application/vnd.dsse.envelope.v1+json';

/** An envelope, decoded. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signatures: readonly EnvelopeSignature[];
}

export interface EnvelopeSignature {
  /** A hint that nobody signed: compared as text, never trusted. */
  readonly keyId: string | null;
  readonly signature: Buffer;
}

// Fields that the specification does not name are ignored, as it demands.
const wireEnvelope = z.object({
  payloadType: z.string().min(1).max(KIB),
  payload: z.string(),
  signatures: z
    .array(z.object({ keyid: z.string().max(KIB).nullish(), sig: z.string().max(KIB) }))
    .min(1)
    .max(SIGNATURES_MAX),
});

/**
 * Parses an envelope. Standard and URL-safe base64 are read.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_ENVELOPE
 * @source https://github.com/secure-systems-lab/dsse, v1.0.2, envelope.md
 */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  const value = parseStrictJson(bytes, { what: 'the envelope', bytesMax: ENVELOPE_BYTES_MAX });
  const parsed = wireEnvelope.safeParse(value);
  if (!parsed.success) throw badEnvelope(`it has not the form of DSSE: ${faultsOf(parsed.error)}`);
  const { payloadType, payload, signatures } = parsed.data;
  return {
    payloadType,
    payload: bytesOf(payload, 'payload'),
    signatures: signatures.map(({ keyid, sig }) => ({
      keyId: keyid === undefined || keyid === '' ? null : keyid,
      signature: bytesOf(sig, 'signature'),
    })),
  };
}

/** Writes an envelope as canonical JSON with standard base64. */
export function encodeEnvelope({ payloadType, payload, signatures }: Envelope): Buffer {
  const wire = {
    payloadType,
    payload: payload.toString('base64'),
    signatures: signatures.map(({ keyId, signature }) => ({
      ...(keyId === null ? {} : { keyid: keyId }),
      sig: signature.toString('base64'),
    })),
  };
  return Buffer.from(canonicalJson(wire));
}

/** Signs a payload with each signer. */
export function signEnvelope(payloadType: string, payload: Buffer, signers: readonly Signer[]): Envelope {
  const message = preAuthEncoding(payloadType, payload);
  return {
    payloadType,
    payload,
    signatures: signers.map((signer) => ({ keyId: signer.keyId, signature: signer.sign(message) })),
  };
}

/** What is signed: type and payload, each with its length, so that neither can be taken for the other. @source DSSE v1.0.2, protocol.md */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

/**
 * For each signature of the envelope the id of the key that made it, or null when none of `keys` did. A signature without the
 * id of one of them is tried with the last {@link UNNAMED_KEYS_MAX}, as long as {@link UNNAMED_TRIES_MAX} are not used up.
 */
export function findSigners(envelope: Envelope, keys: readonly PublicKey[]): (string | null)[] {
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  return planTries(envelope, keys).map(
    ({ signature, candidates }) => candidates.find((key) => isSignatureOf(key, message, signature))?.id ?? null,
  );
}

/** As {@link findSigners}, on other threads. */
export async function findSignersAsync(envelope: Envelope, keys: readonly PublicKey[]): Promise<(string | null)[]> {
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  const signers: (string | null)[] = [];
  for (const { signature, candidates } of planTries(envelope, keys)) {
    let signer: string | null = null;
    for (const key of candidates) {
      if (!(await isSignatureOfAsync(key, message, signature))) continue;
      signer = key.id;
      break;
    }
    signers.push(signer);
  }
  return signers;
}

interface SignatureTries {
  readonly signature: Buffer;
  readonly candidates: readonly PublicKey[];
}

function planTries({ signatures }: Envelope, keys: readonly PublicKey[]): SignatureTries[] {
  let tries = UNNAMED_TRIES_MAX;
  return signatures.map(({ keyId, signature }) => {
    const hinted = keys.filter(({ id }) => id === keyId);
    if (hinted.length > 0) return { signature, candidates: hinted };
    const candidates = keys.slice(-UNNAMED_KEYS_MAX).slice(0, tries);
    tries -= candidates.length;
    return { signature, candidates };
  });
}

/** What must have signed. */
export interface SignaturePolicy {
  readonly payloadType: string;
  readonly keys: readonly PublicKey[];
  /** Distinct keys among `keys` that must have signed, at least 1. */
  readonly threshold: number;
}

/** What a verification found out. */
export interface VerifiedEnvelope {
  /** The bytes that were verified. */
  readonly payload: Buffer;
  /** Whose signatures they bear, each key once. */
  readonly keyIds: readonly string[];
}

/**
 * Verifies that enough distinct keys signed a payload of the expected type.
 *
 * @throws ProvenanceError PROVENANCE_SIGNATURE
 */
export function verifyEnvelope(envelope: Envelope, policy: SignaturePolicy): VerifiedEnvelope {
  checkType(envelope, policy);
  return checkSigners(envelope, policy, findSigners(envelope, policy.keys));
}

/**
 * As {@link verifyEnvelope}, with the signatures verified on other threads: for whoever verifies many.
 *
 * @throws ProvenanceError PROVENANCE_SIGNATURE
 */
export async function verifyEnvelopeAsync(envelope: Envelope, policy: SignaturePolicy): Promise<VerifiedEnvelope> {
  checkType(envelope, policy);
  return checkSigners(envelope, policy, await findSignersAsync(envelope, policy.keys));
}

function checkType(envelope: Envelope, { payloadType }: SignaturePolicy): void {
  if (envelope.payloadType === payloadType) return;
  throw badSignature(`the payload's type is '${excerptOf(envelope.payloadType, 80)}', not '${payloadType}'`);
}

function checkSigners(
  { payload }: Envelope,
  { threshold }: SignaturePolicy,
  signers: readonly (string | null)[],
): VerifiedEnvelope {
  const keyIds = [...new Set(signers.filter((keyId) => keyId !== null))];
  if (threshold >= 1 && keyIds.length >= threshold) return { payload, keyIds };
  throw badSignature(`${keyIds.length} of the ${threshold} keys that are needed signed it`);
}

function bytesOf(text: string, what: string): Buffer {
  const bytes = decodeBase64(text);
  if (bytes === null) throw badEnvelope(`its ${what} is not base64`);
  return bytes;
}

function badEnvelope(why: string): ProvenanceError {
  return new ProvenanceError('PROVENANCE_ENVELOPE', `the envelope cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Get it again from where it was made.',
  });
}

function badSignature(why: string): ProvenanceError {
  return new ProvenanceError('PROVENANCE_SIGNATURE', `the signatures do not suffice: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Have it signed by the keys that are expected, over exactly these bytes.',
  });
}
