// What was read and judged of attestations, kept, so that judging again costs what has changed. Never the truth: only what recomputing would give.
import type { Digest } from '../../artifact/index.ts';
import type { StoredAttestation } from '../attestation-store.ts';
import type { OriginPolicy } from '../dependencies/origin-policy.ts';
import { type Envelope, parseEnvelope } from '../dsse.ts';
import { isInScope } from '../glob.ts';
import { judgeAttestation, type SignatureVerdict } from '../judge-signature.ts';
import type { KeyringState } from '../key-records.ts';
import { parseStatement, type Statement } from '../statement.ts';
import { type Claim, type LinkKind, linkKindOf, readClaim, speakersOf } from './claims.ts';

/** Envelopes that are kept, and their bytes together. */
const READ_COUNT_MAX = 4096;
const READ_BYTES_MAX = 64 * 1024 * 1024;
const JUDGED_COUNT_MAX = 16_384;

/** An attestation, read. */
export interface ReadAttestation {
  readonly bytes: Buffer;
  readonly kind: LinkKind;
  readonly envelope: Envelope;
  readonly statement: Statement;
  /** What it says, or why that cannot be read; read when it is asked for, which is once a trusted key has signed it. */
  claim(): Claim | string;
}

/** By whom and when it is judged: one value for one look at many artifacts. */
export interface Moment {
  readonly keyring: KeyringState;
  readonly nowMs: number;
}

/** A cache for one policy of origins. Bounded. */
export class ChainCache {
  readonly #origins: OriginPolicy;
  readonly #countMax: number;
  readonly #read = new Map<Digest, ReadAttestation>();
  #readBytes = 0;
  #moment: Moment | null = null;
  readonly #judged = new Map<string, { readonly bytes: Buffer; readonly verdicts: readonly SignatureVerdict[] }>();
  readonly #scopes = new Map<string, string>();

  /** @param countMax envelopes that are kept */
  constructor(origins: OriginPolicy, countMax = READ_COUNT_MAX) {
    this.#origins = origins;
    this.#countMax = countMax;
  }

  /** The attestation as it reads; null when it cannot be read. */
  read({ digest, bytes }: StoredAttestation): ReadAttestation | null {
    const known = this.#read.get(digest);
    // A file may have been changed under its name.
    if (known?.bytes.equals(bytes) === true) return known;
    const read = this.#parse(bytes);
    if (read === null || known !== undefined) return read;
    this.#read.set(digest, read);
    this.#readBytes += bytes.length;
    this.#dropOldest();
    return read;
  }

  #parse(bytes: Buffer): ReadAttestation | null {
    try {
      const envelope = parseEnvelope(bytes);
      const statement = parseStatement(envelope.payload);
      const kind = linkKindOf(statement.predicateType);
      let claim: Claim | string | null = null;
      return {
        bytes,
        kind,
        envelope,
        statement,
        claim: () => (claim ??= readClaim(kind, statement.predicate, this.#origins)),
      };
    } catch {
      // `judgeAttestation` says why: nothing depends on it here.
      return null;
    }
  }

  #dropOldest(): void {
    for (const [digest, { bytes }] of this.#read) {
      if (this.#read.size <= this.#countMax && this.#readBytes <= READ_BYTES_MAX) return;
      this.#read.delete(digest);
      this.#readBytes -= bytes.length;
    }
  }

  /** What its signatures are worth for a thing, in the chain of an artifact of this name. */
  judge(
    attestation: StoredAttestation,
    about: { readonly digest: Digest; readonly name: string; readonly kind: LinkKind; readonly predicateType: string },
    moment: Moment,
  ): readonly SignatureVerdict[] {
    this.#begin(moment);
    const scopes = this.#scopesOf(about.name, moment.keyring);
    const key = [attestation.digest, attestation.logIndex, about.digest, about.kind, scopes].join(' ');
    const known = this.#judged.get(key);
    if (known?.bytes.equals(attestation.bytes) === true) return known.verdicts;
    const verdicts = judgeAttestation(attestation, {
      artifact: { name: about.name, digest: about.digest },
      typesByRole: speakersOf(about.kind, about.predicateType),
      ...moment,
    });
    // Why a key is not trusted may name the artifact; what is shared must not.
    if (verdicts.some(({ status }) => status === 'untrusted')) return verdicts;
    if (this.#judged.size >= JUDGED_COUNT_MAX) this.#judged.clear();
    this.#judged.set(key, { bytes: attestation.bytes, verdicts });
    return verdicts;
  }

  /** Verdicts hold for one keyring and one time. */
  #begin(moment: Moment): void {
    const before = this.#moment;
    if (before?.keyring === moment.keyring && before.nowMs === moment.nowMs) return;
    this.#moment = moment;
    this.#judged.clear();
    this.#scopes.clear();
  }

  /** Which scopes cover a name: all that a verdict takes from it. */
  #scopesOf(name: string, { trust }: KeyringState): string {
    const known = this.#scopes.get(name);
    if (known !== undefined) return known;
    const covering = trust.map(({ scope }) => (isInScope(scope, name) ? '1' : '0')).join('');
    if (this.#scopes.size < JUDGED_COUNT_MAX) this.#scopes.set(name, covering);
    return covering;
  }
}
