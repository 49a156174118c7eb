// Git's list of allowed signers (ALLOWED SIGNERS in ssh-keygen(1)): which key speaks for whom, where and when.
import { exitStatus, MIB } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { quoted } from './git-object.ts';
import { parseSshKeyLine, type SshKey } from './ssh-key.ts';

/** Largest list, and the most of its lines: a company's has some thousand. */
const LIST_BYTES_MAX = 4 * MIB;
const SIGNERS_MAX = 20_000;

/** Longest pattern list or principal that is compared: bounds the work of one match. */
const PATTERN_CHARS_MAX = 4096;

/** One line of the list. */
export interface AllowedSigner {
  /** Comma-separated patterns of e-mail addresses; `!` before one excludes. */
  readonly principals: string;
  readonly key: SshKey;
  /** Comma-separated patterns; null for every namespace. */
  readonly namespaces: string | null;
  /** Unix seconds, both ends included; null for no limit. */
  readonly validAfter: number | null;
  readonly validBefore: number | null;
}

/** Whether a key may have signed: for whom, or why not. */
export type SignerVerdict =
  | { readonly kind: 'allowed'; readonly principal: string; readonly signer: AllowedSigner }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Parses a list of allowed signers. One bad line refuses the list, since what it was to say is not known. Times without `Z` are
 * UTC here, so that every host reads the same; ssh-keygen takes them for local.
 *
 * @throws ProvenanceError PROVENANCE_SIGNERS for damaged lines, certificate authorities, and keys that are weak or not supported
 * @source OpenSSH 9.2, sshsig.c: parse_principals_key_and_options, sshsigopt_parse
 */
export function parseAllowedSigners(text: string): readonly AllowedSigner[] {
  if (text.length > LIST_BYTES_MAX) throw badSigners(`it has more than ${LIST_BYTES_MAX} characters`);
  const signers: AllowedSigner[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const entry = line.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    if (signers.length === SIGNERS_MAX) throw badSigners(`it has more than ${SIGNERS_MAX} signers`);
    signers.push(parseLine(entry, index + 1));
  }
  return signers;
}

const LINE = /^(?:"(?<quotedPrincipals>[^"]*)"|(?<principals>[^\s"]+))[ \t]+(?<rest>.*)$/;
// Each option begins with a letter, so that the alternatives exclude each other and no text is tried twice.
const OPTIONS = /^(?:[^\s"]|"(?:[^"\\]|\\.)*")+(?=[ \t])/;

function parseLine(entry: string, number: number): AllowedSigner {
  const { quotedPrincipals, principals = quotedPrincipals ?? '', rest = '' } = LINE.exec(entry)?.groups ?? {};
  if (principals === '') throw badLine(number, 'it has no principal and key');
  if (principals.length > PATTERN_CHARS_MAX) throw badLine(number, 'its principals are too long');
  if (/^(?:sk-|ssh-|ecdsa-)/.test(rest)) return { principals, ...parseOptions('', number), key: keyOf(rest, number) };
  const options = OPTIONS.exec(rest)?.[0] ?? '';
  const fields = parseOptions(options, number);
  return { principals, ...fields, key: keyOf(rest.slice(options.length), number) };
}

function keyOf(text: string, number: number): SshKey {
  try {
    return parseSshKeyLine(text);
  } catch (error) {
    throw badLine(number, error instanceof ProvenanceError ? error.message : 'its key cannot be read', error);
  }
}

const OPTION = /^(?:(?<flag>cert-authority)|(?<name>[a-z-]+)="(?<value>(?:[^"\\]|\\.)*)")(?:,(?=.)|$)/i;

/** Flags and quoted values, each at most once. */
function parseOptions(text: string, number: number): Omit<AllowedSigner, 'principals' | 'key'> {
  const values = new Map<string, string>();
  for (let rest = text; rest !== '';) {
    const match = OPTION.exec(rest);
    const { flag, name = '', value = '' } = match?.groups ?? {};
    if (flag !== undefined)
      throw badLine(number, 'it trusts a certificate authority; certificates are not supported, list the keys');
    const key = name.toLowerCase();
    if (match === null || !OPTION_NAMES.has(key)) throw badLine(number, `its options ${quoted(rest)} are not known`);
    if (values.has(key)) throw badLine(number, `it has ${key} twice`);
    values.set(key, value.replaceAll(String.raw`\"`, '"'));
    rest = rest.slice(match[0].length);
  }
  const namespaces = values.get('namespaces') ?? null;
  const validAfter = timeOf(values.get('valid-after'), number);
  const validBefore = timeOf(values.get('valid-before'), number);
  if (validAfter !== null && validBefore !== null && validBefore <= validAfter)
    throw badLine(number, 'it ends before it begins');
  return { namespaces, validAfter, validBefore };
}

const OPTION_NAMES: ReadonlySet<string> = new Set(['namespaces', 'valid-after', 'valid-before']);

/** `YYYYMMDD[HHMM[SS]]`, with or without `Z`, in Unix seconds. */
function timeOf(text: string | undefined, number: number): number | null {
  if (text === undefined) return null;
  const match = /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?(?:Z|UTC)?$/i.exec(text);
  const [year, month, day, hour = '00', minute = '00', second = '00'] = match?.slice(1) ?? [];
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const date = new Date(iso);
  // February 30 becomes another day, or none: either way it is not what was written.
  if (match === null || Number.isNaN(date.getTime()) || date.toISOString() !== iso)
    throw badLine(number, `${quoted(text)} is not a time like 20260131 or 20260131235959Z`);
  return date.getTime() / 1000;
}

/**
 * Finds for whom a key may sign, in the two steps in which git asks ssh-keygen: the first line with this key that is valid at that
 * time names the principals; then any line that a principal matches must hold the key, the namespace and the time.
 *
 * @param holders the lines with the signing key, in order
 * @param at Unix seconds
 * @source git 2.39, gpg-interface.c: verify_ssh_signed_buffer
 */
export function findSigner(
  holders: readonly AllowedSigner[],
  { namespace, at }: { readonly namespace: string; readonly at: number },
): SignerVerdict {
  if (holders.length === 0) return { kind: 'unknown' };
  const first = holders.find((signer) => isValidAt(signer, at));
  if (first === undefined) return { kind: 'refused', reason: 'the key was not valid when the commit says it was made' };
  for (const principal of first.principals.split(',')) {
    const signer = holders.find(
      (holder) =>
        isPatternMatch(holder.principals, principal) &&
        isValidAt(holder, at) &&
        (holder.namespaces === null || isPatternMatch(holder.namespaces, namespace)),
    );
    if (signer !== undefined) return { kind: 'allowed', principal, signer };
  }
  return { kind: 'refused', reason: `the key is not allowed to sign in the namespace ${quoted(namespace)}` };
}

function isValidAt({ validAfter, validBefore }: AllowedSigner, at: number): boolean {
  return (validAfter === null || at >= validAfter) && (validBefore === null || at <= validBefore);
}

/**
 * True when a pattern of the comma-separated list matches the whole text and none after `!` does: `*` is any text, `?` one
 * character.
 *
 * @source OpenSSH 9.2, match.c: match_pattern_list
 */
export function isPatternMatch(list: string, text: string): boolean {
  // attacker-controlled: a committer names itself. Matched in time linear in pattern times text.
  if (list.length > PATTERN_CHARS_MAX || text.length > PATTERN_CHARS_MAX) return false;
  let isMatch = false;
  for (const pattern of list.split(',')) {
    if (pattern.startsWith('!') ? isGlobMatch(pattern.slice(1), text) : false) return false;
    isMatch ||= !pattern.startsWith('!') && isGlobMatch(pattern, text);
  }
  return isMatch;
}

/** Walks back to the last `*` alone, which suffices for patterns without classes. */
function isGlobMatch(pattern: string, text: string): boolean {
  let [p, t, star, resume] = [0, 0, -1, 0];
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p;
      resume = t;
      p += 1;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      resume += 1;
      [p, t] = [star + 1, resume];
    } else {
      return false;
    }
  }
  return pattern.slice(p).replaceAll('*', '') === '';
}

function badLine(number: number, why: string, cause?: unknown): ProvenanceError {
  return badSigners(`line ${number}: ${why}`, cause);
}

/** A list of signers or identities that cannot be used. */
export function badSigners(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_SIGNERS', `the list of signers cannot be used: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Write each signer as in ALLOWED SIGNERS of ssh-keygen(1): ada@example.com namespaces="git" ssh-ed25519 AAAA…',
    cause,
  });
}
