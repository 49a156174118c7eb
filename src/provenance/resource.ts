// Resource descriptors of in-toto: what provenance names as material or byproduct, by URI and digests.
import { z } from 'zod';

import { type Digest, isDigest } from '../artifact/index.ts';
import { KIB } from '../base/index.ts';

/** Digests of one resource; about twenty algorithms are defined. */
const DIGESTS_MAX = 32;

/** Resources in one list: the dependencies of a large build. */
const RESOURCES_MAX = 4096;

/** A resource that provenance names. At least a URI or a digest is there, or its content was. */
export interface Resource {
  readonly name: string | null;
  readonly uri: string | null;
  /** From algorithm to value, as written: `sha256`, `gitCommit`, `sha1` … */
  readonly digests: ReadonlyMap<string, string>;
}

/** A URI with a scheme, without white space. */
export const uri = z
  .string()
  .max(2 * KIB)
  .regex(/^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s\p{Cc}]+$/u, 'a URI');

/** A time in UTC, as in-toto demands; to milliseconds. */
export const timestamp = z.iso.datetime().transform((text) => Date.parse(text));

/** A short text without control characters. */
export const label = z
  .string()
  .max(4 * KIB)
  .regex(/^\P{Cc}*$/u, 'a text without control characters');

// Lower case, as the specification demands: a digest in two spellings would be two digests.
const HEX_FORMS: ReadonlyMap<string, RegExp> = new Map([
  ['sha256', /^[0-9a-f]{64}$/],
  ['sha512', /^[0-9a-f]{128}$/],
  ['sha384', /^[0-9a-f]{96}$/],
  ['sha224', /^[0-9a-f]{56}$/],
  ['sha1', /^[0-9a-f]{40}$/],
  ['gitCommit', /^([0-9a-f]{40}|[0-9a-f]{64})$/],
  ['gitTree', /^([0-9a-f]{40}|[0-9a-f]{64})$/],
  ['gitBlob', /^([0-9a-f]{40}|[0-9a-f]{64})$/],
  ['gitTag', /^([0-9a-f]{40}|[0-9a-f]{64})$/],
]);

/** A digest set: names of algorithms and values; those of known algorithms in their one form. */
export const digestSet = z
  .record(z.string().min(1).max(64), z.string().min(1).max(256))
  .refine((digests) => {
    const count = Object.keys(digests).length;
    return count >= 1 && count <= DIGESTS_MAX;
  }, `1 to ${DIGESTS_MAX} digests`)
  .refine(
    (digests) => Object.entries(digests).every(([name, value]) => HEX_FORMS.get(name)?.test(value) !== false),
    'a digest that is not in lower-case hex of its length',
  );

const resource = z
  .object({
    name: label.optional(),
    uri: uri.optional(),
    digest: digestSet.optional(),
    content: z.base64().optional(),
    downloadLocation: uri.optional(),
    mediaType: label.optional(),
    annotations: z.record(z.string(), z.unknown()).optional(),
  })
  .refine(
    ({ uri: where, digest, content }) => where !== undefined || digest !== undefined || content !== undefined,
    'neither URI nor digest nor content',
  )
  .transform(({ name, uri: where, digest }): Resource => ({
    name: name ?? null,
    uri: where ?? null,
    digests: new Map(Object.entries(digest ?? {})),
  }));

/** A list of resources, empty when it is left out. */
export const resources = z.array(resource).max(RESOURCES_MAX).default([]);

/** The SHA-256 of a resource, by which a chain is walked from an artifact to its materials; null when it has none. */
export function digestOfResource({ digests }: Resource): Digest | null {
  const digest = `sha256:${digests.get('sha256') ?? ''}`;
  return isDigest(digest) ? digest : null;
}

/** A resource as it is written. */
export function wireResource({ name, uri: where, digests }: Resource): Record<string, unknown> {
  return {
    ...(name === null ? {} : { name }),
    ...(where === null ? {} : { uri: where }),
    ...(digests.size === 0 ? {} : { digest: Object.fromEntries(digests) }),
  };
}
