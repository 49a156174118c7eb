// in-toto Statements: who says what about which artifacts, by digest.
import { z } from 'zod';

import { type Digest, hexOf, isDigest } from '../artifact/index.ts';
import { canonicalJson, exitStatus } from '../base/index.ts';
import { ENVELOPE_BYTES_MAX } from './dsse.ts';
import { ProvenanceError } from './errors.ts';
import { faultsOf } from './excerpt.ts';
import { digestSet, uri } from './resource.ts';
import { parseStrictJson } from './strict-json.ts';

/** `_type` of a statement. @source https://in-toto.io/Statement/v1 */
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';

/** `payloadType` of a statement in an envelope. */
export const STATEMENT_MEDIA_TYPE = 'application/vnd.in-toto+json';

/** SLSA provenance, v1. */
export const SLSA_PROVENANCE_TYPE = 'https://slsa.dev/provenance/v1';

/** Our own: the publisher says that this artifact is its release. The predicate is free. */
export const RELEASE_TYPE = 'https://provost.dev/attestation/release/v1';

/** Artifacts that one statement may speak of. */
const SUBJECTS_MAX = 1024;

/** A statement's subject; matched by digest alone, the name is for people. */
export interface Subject {
  readonly name: string | null;
  readonly digest: Digest;
}

export interface Statement {
  /** Subjects with a SHA-256; those named by other algorithms alone are left out. */
  readonly subjects: readonly Subject[];
  /** SHA-512, in hex, of the subjects that have no SHA-256: packages of npm are named so. */
  readonly sha512Subjects: readonly string[];
  readonly predicateType: string;
  readonly predicate: unknown;
}

// Fields that the specification does not name are ignored, as it demands.
const wireStatement = z.object({
  _type: z.literal(STATEMENT_TYPE),
  subject: z
    .array(
      z.object({
        name: z.string().max(4096).optional(),
        digest: digestSet,
      }),
    )
    .min(1)
    .max(SUBJECTS_MAX),
  predicateType: uri,
  predicate: z.record(z.string(), z.unknown()).optional(),
});

/**
 * Parses a statement from the bytes that were verified.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_STATEMENT
 * @source https://github.com/in-toto/attestation, spec/v1/statement.md
 */
export function parseStatement(payload: Uint8Array): Statement {
  const value = parseStrictJson(payload, { what: 'the statement', bytesMax: ENVELOPE_BYTES_MAX });
  const parsed = wireStatement.safeParse(value);
  if (!parsed.success) throw badStatement(faultsOf(parsed.error));
  const { subject, predicateType, predicate } = parsed.data;
  return {
    subjects: subject.flatMap(({ name, digest }) => {
      const sha256 = `sha256:${Object.hasOwn(digest, 'sha256') ? digest['sha256'] : ''}`;
      return isDigest(sha256) ? [{ name: name ?? null, digest: sha256 }] : [];
    }),
    sha512Subjects: subject.flatMap(({ digest }) =>
      Object.hasOwn(digest, 'sha256') || !Object.hasOwn(digest, 'sha512') ? [] : [digest['sha512'] ?? ''],
    ),
    predicateType,
    predicate: predicate ?? null,
  };
}

/**
 * Writes a statement about artifacts, as canonical JSON.
 *
 * @param predicate a JSON object
 * @throws ProvenanceError PROVENANCE_STATEMENT when the type is no URI or the predicate no object
 */
export function makeStatement(subjects: readonly Subject[], predicateType: string, predicate: unknown): Buffer {
  const wire = {
    _type: STATEMENT_TYPE,
    subject: subjects.map(({ name, digest }) => ({
      ...(name === null ? {} : { name }),
      digest: { sha256: hexOf(digest) },
    })),
    predicateType,
    predicate,
  };
  const parsed = wireStatement.required({ predicate: true }).safeParse(wire);
  if (!parsed.success) throw badStatement(faultsOf(parsed.error), exitStatus.usage);
  return Buffer.from(canonicalJson(wire));
}

function badStatement(why: string, exit: 2 | 4 = exitStatus.verificationFailed): ProvenanceError {
  return new ProvenanceError('PROVENANCE_STATEMENT', `the in-toto statement is not valid: ${why}`, {
    exit,
    hint: 'A statement needs a subject with a digest, a predicate type (a URI) and a predicate (a JSON object).',
  });
}
