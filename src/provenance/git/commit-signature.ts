// The verdict about one commit's signature: the same as that of git verify-commit, and stricter where old or weak keys are concerned.
import { messageOf } from '../../base/index.ts';
import { type AllowedSigner, findSigner, isPatternMatch } from './allowed-signers.ts';
import type { GitCommit } from './git-commit.ts';
import type { KnownSigners } from './known-signers.ts';
import { OPENPGP_ARMOR, verifyOpenpgp } from './openpgp-signature.ts';
import { fingerprintOf, parseSshKey } from './ssh-key.ts';
import { isSshSignatureOf, parseSshSignature, SSH_ARMOR, type SshSignature } from './ssh-signature.ts';

/** The namespace in which git signs. */
const NAMESPACE = 'git';

/** What a commit's signature is worth. */
export interface CommitSignature {
  /** `unknown-key`: perhaps a good signature, but by nobody whose word counts here. */
  readonly status: 'verified' | 'unsigned' | 'unknown-key' | 'bad';
  readonly format: 'ssh' | 'openpgp' | 'other' | null;
  /** Fingerprint of the key; for an unknown OpenPGP key its key id; null where none could be read. */
  readonly key: string | null;
  /** For whom the key signs, when it is verified: an e-mail address, a pattern of them, or an OpenPGP user id. */
  readonly principal: string | null;
  /** One sentence for people. */
  readonly reason: string;
}

/**
 * Verifies a commit's signature. `verified` never without that `git verify-commit` would accept it with the same signers; RSA below
 * 2048 bits, SHA-1 and signatures over text are refused beyond that. SSH keys must be valid when the committer says it was,
 * as in git; OpenPGP keys now.
 *
 * @param nowMs Unix time
 */
export async function verifyCommit(commit: GitCommit, signers: KnownSigners, nowMs: number): Promise<CommitSignature> {
  const { signature } = commit;
  if (signature === null) {
    const reason = 'The commit is not signed: anyone can write any author into it.';
    return { status: 'unsigned', format: null, key: null, principal: null, reason };
  }
  if (isArmor(signature, SSH_ARMOR)) return verifySsh(commit, signature, signers, nowMs);
  if (isArmor(signature, OPENPGP_ARMOR)) return verifyByOpenpgp(commit, signature, signers, nowMs);
  return bad('other', null, 'The signature is neither by SSH nor by OpenPGP.');
}

function isArmor(signature: Buffer, begin: string): boolean {
  return signature.subarray(0, begin.length).equals(Buffer.from(begin));
}

function verifySsh(commit: GitCommit, armored: Buffer, signers: KnownSigners, nowMs: number): CommitSignature {
  let parsed: SshSignature;
  let isGood: boolean;
  try {
    parsed = parseSshSignature(armored, (blob) => signers.ssh.get(fingerprintOf(blob))?.[0]?.key ?? parseSshKey(blob));
    isGood = isSshSignatureOf(parsed, commit.payload);
  } catch (error) {
    return bad('ssh', null, `${messageOf(error)}.`);
  }
  const { key, namespace } = parsed;
  if (namespace !== NAMESPACE) return bad('ssh', key.fingerprint, 'The signature was not made for git.');
  if (!isGood) return bad('ssh', key.fingerprint, 'The signature is not over this commit.');
  // Git takes a commit of second 0 for one without a time, and asks about now.
  const at = commit.committer.seconds === 0 ? Math.floor(nowMs / 1000) : commit.committer.seconds;
  const verdict = findSigner(signers.ssh.get(key.fingerprint) ?? [], { namespace, at });
  if (verdict.kind === 'refused')
    return bad('ssh', key.fingerprint, `The signature does not count: ${verdict.reason}.`);
  if (verdict.kind === 'unknown') {
    const reason = 'The signature is good, but its key is not among the allowed signers.';
    return { status: 'unknown-key', format: 'ssh', key: key.fingerprint, principal: null, reason };
  }
  const principal = principalFor(commit.committer.email, verdict.signer) ?? verdict.principal;
  const reason = `A good signature by a ${key.type} key.`;
  return { status: 'verified', format: 'ssh', key: key.fingerprint, principal, reason };
}

/** The committer's own address where the signer's patterns cover it. */
function principalFor(email: string, { principals }: AllowedSigner): string | null {
  return isPatternMatch(principals, email) ? email : null;
}

async function verifyByOpenpgp(
  commit: GitCommit,
  armored: Buffer,
  signers: KnownSigners,
  nowMs: number,
): Promise<CommitSignature> {
  const verdict = await verifyOpenpgp({ armored, payload: commit.payload, keys: signers.openpgp, nowMs });
  if (verdict.status === 'bad')
    return bad('openpgp', verdict.fingerprint, `The signature does not count: ${verdict.reason}.`);
  if (verdict.status === 'unknown-key') {
    const reason = 'Its key is not known here, so that the signature cannot be checked.';
    return { status: 'unknown-key', format: 'openpgp', key: verdict.keyId, principal: null, reason };
  }
  const { fingerprint, userId } = verdict;
  const reason = 'A good signature by an OpenPGP key.';
  return { status: 'verified', format: 'openpgp', key: fingerprint, principal: userId, reason };
}

function bad(format: 'ssh' | 'openpgp' | 'other', key: string | null, reason: string): CommitSignature {
  return { status: 'bad', format, key, principal: null, reason };
}
