// Says whether a file seems to hold a secret, from its name and, for small files, its content.
import type { SecretKind } from './layer-facts.ts';

/** What makes each file name suspicious; the content must not be empty. */
const SECRET_NAMES: readonly (readonly [RegExp, SecretKind])[] = [
  [/(^|\/)\.ssh\/id_[a-z0-9_]+$/, 'ssh-key-file'],
  [/(^|\/)\.aws\/credentials$/, 'aws-credentials'],
  [/(^|\/)\.env(\.(local|production|prod|staging|development|dev))?$/, 'env-file'],
  [/(^|\/)\.git-credentials$/, 'git-credentials'],
  [/(^|\/)\.docker\/config\.json$/, 'docker-credentials'],
];

/** The marker is found fast; the pattern around it decides. `near` bounds how far around the marker the pattern looks. */
interface ContentRule {
  readonly kind: SecretKind;
  readonly marker: Buffer;
  readonly pattern: RegExp;
  readonly before: number;
  readonly after: number;
}

const CONTENT_RULES: readonly ContentRule[] = [
  {
    kind: 'private-key',
    marker: Buffer.from('PRIVATE KEY-----'),
    // A key's text starts on the next line (or after an escaped one, in JSON): a program that only names the marker has none.
    pattern: /-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY-----\s*(?:\\r)?(?:\\n|\n)\s*[A-Za-z0-9+/=:, -]{16}/,
    before: 64,
    after: 64,
  },
  {
    kind: 'aws-access-key',
    marker: Buffer.from('AKIA'),
    pattern: /(?<![A-Za-z0-9/+])AKIA[A-Z2-7]{16}(?![A-Za-z0-9/+])/,
    before: 1,
    after: 24,
  },
  {
    kind: 'github-token',
    marker: Buffer.from('ghp_'),
    pattern: /(?<![A-Za-z0-9_])ghp_[A-Za-z0-9]{36}(?![A-Za-z0-9_])/,
    before: 1,
    after: 44,
  },
  {
    kind: 'npm-token',
    marker: Buffer.from(':_authToken='),
    pattern: /:_authToken=(?!\$\{)[^\s]{8}/,
    before: 0,
    after: 32,
  },
];

/** Amazon's own documentation key: everywhere, and no secret. */
const EXAMPLE_KEY = /EXAMPLE$/;

/** Markers looked at in one file before giving up: a file of nothing but markers must not cost more than reading it. */
const MARKERS_MAX = 64;

/**
 * Names the kind of secret that a file seems to hold, or null.
 *
 * @param path relative path of the file, attacker-controlled: compared as text
 * @param content the whole content
 */
export function secretKindOf(path: string, content: Buffer): SecretKind | null {
  if (content.length === 0) return null;
  for (const rule of CONTENT_RULES) {
    if (hasMatch(rule, content)) return rule.kind;
  }
  // A public key beside a private one has `.pub`, which the pattern's end refuses.
  for (const [pattern, kind] of SECRET_NAMES) if (pattern.test(path)) return kind;
  return null;
}

function hasMatch(rule: ContentRule, content: Buffer): boolean {
  let at = content.indexOf(rule.marker);
  for (let seen = 0; at !== -1 && seen < MARKERS_MAX; seen += 1) {
    const around = content
      .subarray(Math.max(0, at - rule.before), at + rule.marker.length + rule.after)
      .toString('latin1');
    const match = rule.pattern.exec(around);
    if (match !== null && !EXAMPLE_KEY.test(match[0])) return true;
    at = content.indexOf(rule.marker, at + 1);
  }
  return false;
}
