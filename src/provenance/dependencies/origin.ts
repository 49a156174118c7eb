// Does a dependency come from where the policy trusts, and is it who its name says.
import { isInScope } from '../glob.ts';
import { shown } from '../excerpt.ts';
import type { Dependency } from './dependency.ts';
import { isWithin, type Location, parseLocation, publicUrl } from './location.ts';
import type { NamespaceRule, OriginPolicy, SignerRule } from './origin-policy.ts';

export interface OriginVerdict {
  readonly status: 'trusted' | 'untrusted' | 'unknown';
  /** One clause, no full stop. */
  readonly reason: string;
}

/**
 * Judges where a dependency comes from. A name that the policy reserves for a private registry must come from there, and
 * one that it wants signed must be signed, before any registry that is trusted counts.
 *
 * @param signedBy key ids and identities whose signatures on this dependency were verified
 */
export function judgeOrigin(
  dependency: Dependency,
  policy: OriginPolicy,
  signedBy: readonly string[] = [],
): OriginVerdict {
  const unsigned = policy.signers.find((rule) => speaksOf(rule, dependency) && !isSigned(rule, signedBy));
  if (unsigned !== undefined) return verdict('untrusted', 'none of the signers that the policy names for it signed it');
  const reserved = policy.namespaces.filter((rule) => speaksOf(rule, dependency));
  const { origin, ecosystem } = dependency;
  if (origin === null) {
    if (reserved.length === 0) return verdict('unknown', 'nothing says where it comes from');
    return verdict(
      'untrusted',
      'its name is reserved for a private registry, and nothing says that it comes from there',
    );
  }
  const place = parseLocation(origin);
  if (typeof place === 'string') return verdict('untrusted', `its origin ${shown(publicUrl(origin))} ${place}`);
  if (reserved.length > 0) return judgeReserved(place, reserved, origin);
  const registries = policy.registries.filter((rule) => rule.ecosystem === ecosystem);
  if (registries.length === 0) return verdict('unknown', `the policy names no registry for ${shown(ecosystem)}`);
  const isTrusted = registries.some(({ places }) => places.some((trusted) => isWithin(place, trusted)));
  return isTrusted
    ? verdict('trusted', 'it comes from a registry that the policy trusts')
    : verdict('untrusted', `the policy does not trust ${shown(publicUrl(origin))}`);
}

/** Two rules for one name both hold. */
function judgeReserved(place: Location, reserved: readonly NamespaceRule[], origin: string): OriginVerdict {
  return reserved.every(({ places }) => places.some((trusted) => isWithin(place, trusted)))
    ? verdict('trusted', 'it comes from the private registry that its name is reserved for')
    : verdict(
        'untrusted',
        `its name is reserved for a private registry, but it comes from ${shown(publicUrl(origin))}`,
      );
}

function isSigned({ identities }: SignerRule, signedBy: readonly string[]): boolean {
  return identities.some((identity) => signedBy.includes(identity));
}

/** By its name, and by the one that code imports it by: an alias is a way to pass for another package. */
function speaksOf(rule: NamespaceRule | SignerRule, { ecosystem, name, alias }: Dependency): boolean {
  if (rule.ecosystem !== ecosystem) return false;
  const names = [name, ...(alias === null ? [] : [alias])].map((it) => comparable(ecosystem, it));
  return rule.patterns.some((pattern) => names.some((it) => isInScope(comparable(ecosystem, pattern), it)));
}

/** Rules narrow: where registries differ about case, a rule speaks of all spellings. */
function comparable(ecosystem: string, text: string): string {
  const lower = text.toLowerCase();
  return ecosystem === 'pypi' ? lower.replaceAll(/[-_.]+/g, '-') : lower;
}

function verdict(status: OriginVerdict['status'], reason: string): OriginVerdict {
  return { status, reason };
}
