// What others attested: an envelope is verified, kept, and in a log; of the home's own log what runs is judged anew.
import type { LoggedEnvelope } from '../api/index.ts';
import type { Digest } from '../artifact/index.ts';
import { systemClock } from '../base/index.ts';
import {
  AdmissionQueue,
  DocumentPacks,
  hashLeaf,
  openHostDisk,
  openPublicLog,
  type PublicLog,
} from '../ledger/index.ts';
import { admitEnvelope, type AdmittedEnvelope, type KeyringState, openKeyring } from '../provenance/index.ts';
import { coalesced } from './coalesced.ts';
import type { EngineContext } from './context.ts';
import { homeAt } from './home.ts';
import { logAttestation } from './keeping-attestations.ts';
import type { LogOptions } from './serving-logs.ts';
import { reassessAll } from './reassessing.ts';
import { issuerOf } from './recording.ts';

/** Verifies an envelope and logs it, once. */
export type AdmitEnvelope = (envelope: Uint8Array) => Promise<LoggedEnvelope>;

/**
 * Admits envelopes to the log of a home. Many at a time share the writes of the journal, and what runs is judged anew for all of them at once.
 *
 * @throws ProvenanceError as `admitEnvelope`, PROVENANCE_ATTESTATIONS_FULL; LedgerError when the journal cannot take it
 */
export function homeAdmission(context: EngineContext): AdmitEnvelope {
  const { attestations, clock, home, keyring } = context;
  const reassess = coalesced(() => reassessAll(context));
  const unkept = new Map<Digest, number>();
  const append = async (admitted: AdmittedEnvelope): Promise<number> => {
    const known = attestations.indexOf(admitted.digest, admitted.subjects);
    if (known !== null) return known;
    const index = await logAttestation(context, admitted, unkept);
    await reassess();
    return index;
  };
  return admission({ keys: () => keyring.state(), issuer: issuerOf(home), nowMs: () => clock.nowMs(), append });
}

/** A log of its own that takes envelopes. */
export interface EnvelopeLog extends AsyncDisposable {
  readonly origin: string;
  readonly size: number;
  readonly admit: AdmitEnvelope;
}

/**
 * Opens a log of the format `provost` for writing. Trusted are the keys of a home; envelopes are kept in packs in the log's folder.
 *
 * @throws as `openPublicLog`
 */
export async function openEnvelopeLog(options: LogOptions): Promise<EnvelopeLog> {
  await using stack = new AsyncDisposableStack();
  const log = stack.use(await openPublicLog(options));
  const packs = stack.use(new DocumentPacks(openHostDisk(), options.dir));
  const home = homeAt(options.homeDir);
  const keyring = openKeyring(home.keysDir, issuerOf(home));
  const admit = admission({
    keys: perTurn(() => keyring.state()),
    issuer: `log:${log.origin}`,
    nowMs: () => systemClock.nowMs(),
    append: (admitted) => appendOnce(log, packs, admitted),
  });
  const opened = stack.move();
  return {
    origin: log.origin,
    get size() {
      return log.size;
    },
    admit,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The envelope is durable before its leaf is written. */
async function appendOnce(log: PublicLog, packs: DocumentPacks, { bytes, leaf }: AdmittedEnvelope): Promise<number> {
  const known = log.find(hashLeaf(leaf));
  if (known !== null) return known;
  await packs.put(bytes);
  return log.add(leaf);
}

interface AdmissionParts {
  readonly keys: () => KeyringState;
  readonly issuer: string;
  readonly nowMs: () => number;
  /** Keeps and logs an envelope, unless that was done before. */
  readonly append: (admitted: AdmittedEnvelope) => Promise<number>;
}

function admission({ keys, issuer, nowMs, append }: AdmissionParts): AdmitEnvelope {
  const queue = new AdmissionQueue((envelope) => admitEnvelope(envelope, { keyring: keys(), nowMs: nowMs(), issuer }));
  /** Envelopes that are on their way, by their digest. */
  const pending = new Map<string, Promise<number>>();
  return async (envelope) => {
    const admitted = await queue.ask(Buffer.from(envelope));
    const { digest, predicateType } = admitted;
    const appended = pending.get(digest) ?? append(admitted).finally(() => pending.delete(digest));
    pending.set(digest, appended);
    return { logIndex: await appended, envelopeDigest: digest, predicateType };
  };
}

/** What the keyring says, read once for all envelopes that one turn of the event loop looks at: nothing changes it meanwhile that they could have seen. */
function perTurn(read: () => KeyringState): () => KeyringState {
  let known: KeyringState | null = null;
  return () => {
    if (known === null) setImmediate(() => (known = null));
    known ??= read();
    return known;
  };
}
