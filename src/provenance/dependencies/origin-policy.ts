// Where dependencies may come from: the operator's registries, the names that only a private one may give, and who must have signed.
import { z } from 'zod';
import { exitStatus } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { SCOPE_CHARS_MAX } from '../glob.ts';
import { excerptOf, shown } from '../excerpt.ts';
import { type Location, parseLocation } from './location.ts';

const RULES_MAX = 1024;
const ENTRIES_MAX = 1024;

const ecosystem = z.string().regex(/^[a-z][a-z0-9.+-]{0,63}$/, 'no type of a purl');
const pattern = z.string().min(1).max(SCOPE_CHARS_MAX);
const url = z.string().min(1).max(2048);

const wirePolicy = z.strictObject({
  registries: z
    .array(z.strictObject({ ecosystem, urlPrefixes: z.array(url).min(1).max(ENTRIES_MAX) }))
    .max(RULES_MAX)
    .default([]),
  namespaces: z
    .array(
      z.strictObject({
        ecosystem,
        patterns: z.array(pattern).min(1).max(ENTRIES_MAX),
        urlPrefixes: z.array(url).min(1).max(ENTRIES_MAX),
      }),
    )
    .max(RULES_MAX)
    .default([]),
  signers: z
    .array(
      z.strictObject({
        ecosystem,
        patterns: z.array(pattern).min(1).max(ENTRIES_MAX),
        identities: z.array(z.string().min(1).max(1024)).min(1).max(ENTRIES_MAX),
      }),
    )
    .max(RULES_MAX)
    .default([]),
});

export interface RegistryRule {
  readonly ecosystem: string;
  readonly places: readonly Location[];
}

/** Names that match must come from one of these places and from nowhere else, also not from a registry that is trusted. */
export interface NamespaceRule extends RegistryRule {
  readonly patterns: readonly string[];
}

/** Names that match must be signed by one of these: key ids, or identities of certificates. */
export interface SignerRule {
  readonly ecosystem: string;
  readonly patterns: readonly string[];
  readonly identities: readonly string[];
}

/** A policy that was checked; made only by {@link parseOriginPolicy}. */
export interface OriginPolicy {
  readonly registries: readonly RegistryRule[];
  readonly namespaces: readonly NamespaceRule[];
  readonly signers: readonly SignerRule[];
}

/**
 * Parses a policy of origins:
 * `{ registries: [{ ecosystem, urlPrefixes }], namespaces: [{ ecosystem, patterns, urlPrefixes }],
 * signers: [{ ecosystem, patterns, identities }] }`, each list empty when it is not there. Patterns as in scopes of keys.
 *
 * @throws ProvenanceError PROVENANCE_ORIGIN_POLICY
 */
export function parseOriginPolicy(value: unknown): OriginPolicy {
  const parsed = wirePolicy.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw badPolicy(`at ${shown((issue?.path ?? []).map(String).join('.'))}: ${excerptOf(issue?.message ?? '', 200)}`);
  }
  const { registries, namespaces, signers } = parsed.data;
  return {
    registries: registries.map((rule) => ({ ecosystem: rule.ecosystem, places: rule.urlPrefixes.map(placeOf) })),
    namespaces: namespaces.map((rule) => ({
      ecosystem: rule.ecosystem,
      patterns: rule.patterns,
      places: rule.urlPrefixes.map(placeOf),
    })),
    signers,
  };
}

function placeOf(text: string): Location {
  const place = parseLocation(text);
  if (typeof place === 'string') throw badPolicy(`the prefix ${shown(text)} ${place}`);
  if (/[?#]/.test(text)) throw badPolicy(`the prefix ${shown(text)} has a query or a fragment`);
  return place;
}

function badPolicy(why: string): ProvenanceError {
  return new ProvenanceError('PROVENANCE_ORIGIN_POLICY', `the policy of origins is not valid: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Name registries by ecosystem and by URL prefixes such as https://registry.npmjs.org/.',
  });
}
