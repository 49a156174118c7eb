// Key events as use cases: what changes the keyring is also an entry in the journal.
import { setImmediate } from 'node:timers/promises';

import type { Digest } from '../artifact/index.ts';
import { messageOf, rfc3339 } from '../base/index.ts';
import { type KeyEvent, type KeyLog, type Keyring, type KnownKey, openKeyring } from '../provenance/index.ts';
import type { EngineContext } from './context.ts';
import { homeAt } from './home.ts';
import { reassess, reassessAll } from './reassessing.ts';
import { issuerOf, logKeyEvent } from './recording.ts';
import type { Running } from './running.ts';

/** One change of the keyring. `key` is a name or a key id. */
export type KeyCommand =
  | { readonly do: 'generate'; readonly name: string }
  | {
      readonly do: 'trust';
      /** A name or a key id; for a public key in PEM the name that it gets. */
      readonly key: string;
      readonly publicKeyPem: string | null;
      readonly role: 'publisher' | 'builder' | 'reviewer' | 'operator';
      readonly scope: string;
      readonly predicateTypes: readonly string[];
      /** Only what the log has from this index on counts; null or left out: all. */
      readonly sinceIndex?: number | null | undefined;
    }
  | { readonly do: 'rotate'; readonly key: string }
  | {
      readonly do: 'revoke';
      readonly key: string;
      readonly reason: string;
      /** What the log has up to this index still counts; null or left out: nothing does. */
      readonly lastValidIndex?: number | null | undefined;
    };

/** Trust in a key as `key list` shows it. */
export interface TrustDocument {
  readonly role: string;
  readonly scope: string;
  /** Empty: those that the role stands for. */
  readonly predicateTypes: readonly string[];
  readonly sinceIndex: number | null;
}

/** A key as `key list` shows it. */
export interface KeyDocument {
  readonly name: string;
  readonly keyId: string;
  readonly owner: string;
  readonly hasPrivate: boolean;
  /** What it was trusted for last. */
  readonly trust: TrustDocument | null;
  readonly trusted: readonly TrustDocument[];
  /** From where in the log on another key signs in its place. */
  readonly rotated: { readonly at: string; readonly logIndex: number } | null;
  readonly revoked: {
    readonly reason: string;
    readonly at: string;
    readonly logIndex: number | null;
    /** Null: nothing that it signed counts. */
    readonly lastValidIndex: number | null;
  } | null;
  readonly created: string;
  /** Of the change that was asked for; null in a list. */
  readonly logIndex: number | null;
}

/**
 * Changes the keyring and judges what runs anew. The log has the change before it counts; changes come one after another.
 *
 * @throws ProvenanceError as the keyring says; LedgerError when the journal takes no entry: then nothing has changed
 */
export async function changeKeys(context: EngineContext, command: KeyCommand): Promise<KeyDocument> {
  const { key, logIndex } = await context.keyLane.run(() => {
    const event = prepare(context, command);
    return keep(context, event);
  });
  await reassessAfter(context, key);
  return keyDocument(context.keyring, key, logIndex);
}

/** Judges what runs anew. What the key's owner vouched for comes first: its fall waits for nobody else's judgement. */
async function reassessAfter(context: EngineContext, { owner }: KnownKey): Promise<void> {
  const all = [...context.workloads.values()];
  const isConcerned = ({ publishers }: Running): boolean => publishers.includes(owner);
  const underWay = all.filter(isConcerned).map((running) => reassess(context, running));
  for (const running of all.filter((one) => !isConcerned(one))) {
    // The limits of those before are written meanwhile.
    await setImmediate();
    underWay.push(reassess(context, running));
  }
  await Promise.all(underWay);
}

/** Brings the keyring in line with the log. Once, before anything is judged by it. @throws ProvenanceError PROVENANCE_KEYRING */
export async function reconcileKeys(context: EngineContext): Promise<void> {
  const { journal, keyring, clock } = context;
  const log: KeyLog = {
    size: journal.size,
    read: (from, limit) => journal.read(from, limit),
    document: (digest) => readDocument(context, digest),
  };
  for (const event of await keyring.reconcile(log, clock.nowMs())) {
    context.log.warn({ key: event.event.key.name }, 'a revocation was in the keyring alone: it is logged now');
    await keep(context, event);
  }
}

/** The document, then the leaf, and only then the keyring: a crash between them leaves no trust that the log does not have. */
async function keep(context: EngineContext, event: KeyEvent): Promise<{ key: KnownKey; logIndex: number }> {
  const logIndex = await logKeyEvent(context, event);
  try {
    return { key: context.keyring.commit(event, logIndex), logIndex };
  } catch (error) {
    // What the log has counts, also when the file cannot be written.
    await reassessAll(context);
    throw error;
  }
}

/** A document that is damaged is as good as gone. */
async function readDocument({ content, log }: EngineContext, digest: Digest): Promise<Buffer | null> {
  if (!content.has(digest)) return null;
  try {
    return await content.get(digest);
  } catch (error) {
    log.error({ digest, error: messageOf(error) }, 'the document of a key event cannot be read');
    return null;
  }
}

function prepare({ keyring, clock, journal }: EngineContext, command: KeyCommand): KeyEvent {
  const nowMs = clock.nowMs();
  switch (command.do) {
    case 'generate':
      return keyring.generateKey({ name: command.name, nowMs });
    case 'trust': {
      const { key, publicKeyPem: publicPem, role, scope, predicateTypes, sinceIndex = null } = command;
      return keyring.trustKey({ key, publicPem, role, scope, predicateTypes, sinceIndex, expiresMs: null, nowMs });
    }
    case 'rotate':
      return keyring.rotateKey({ key: command.key, nowMs });
    case 'revoke': {
      const { key, reason, lastValidIndex = null } = command;
      return keyring.revokeKey({ key, reason, lastValidIndex, logSize: journal.size, nowMs });
    }
    default:
      return command satisfies never;
  }
}

function keyDocument(keyring: Keyring, key: KnownKey, logIndex: number | null): KeyDocument {
  const { id, name, owner, rotated, revoked } = key;
  const trusted = keyring.state().trust.flatMap(({ keyId, role, scope, predicateTypes, sinceIndex }) => {
    return keyId === id ? [{ role, scope, predicateTypes, sinceIndex }] : [];
  });
  return {
    name,
    keyId: id,
    owner,
    hasPrivate: keyring.hasPrivate(id),
    trust: trusted.at(-1) ?? null,
    trusted,
    rotated: rotated === null ? null : { at: rfc3339(rotated.atMs), logIndex: rotated.logIndex },
    revoked: revoked === null ? null : revocationDocument(revoked),
    created: rfc3339(key.createdMs),
    logIndex,
  };
}

function revocationDocument({ atMs, ...rest }: NonNullable<KnownKey['revoked']>): NonNullable<KeyDocument['revoked']> {
  return { ...rest, at: rfc3339(atMs) };
}

/** All keys of a home, for commands that only read. */
export function listKeyDocuments(homeDir: string): KeyDocument[] {
  const home = homeAt(homeDir);
  const keyring = openKeyring(home.keysDir, issuerOf(home));
  return keyring.state().keys.map((key) => keyDocument(keyring, key, null));
}
