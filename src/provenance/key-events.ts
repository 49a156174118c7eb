// Key events: the documents of the leaves that change a keyring, and what each of them changes. Pure.
import { z } from 'zod';

import { canonicalJson, exitStatus, KIB, messageOf, rfc3339 } from '../base/index.ts';
import { ProvenanceError } from './errors.ts';
import { faultsOf } from './excerpt.ts';
import {
  checkRotation,
  keyId,
  keyName,
  type KeyringState,
  type KnownKey,
  logIndex,
  readKey,
  type Revocation,
  revocationReason,
  type TrustRecord,
  trustRecord,
} from './key-records.ts';
import type { Leaf, LeafKind } from './leaf.ts';
import { parseStrictJson } from './strict-json.ts';

/** Media type of the document of a key event. */
export const KEY_EVENT_MEDIA_TYPE = 'application/vnd.provost.key-event.v1+json';

/** Trust in 64 predicate types of 2 KiB is the largest. */
const EVENT_BYTES_MAX = 256 * KIB;

const time = z.iso.datetime();
const key = z.strictObject({ id: keyId, name: keyName, owner: keyName, publicKey: z.base64() });

// Documents of the first version say nothing of positions.
const keyEvent = z.discriminatedUnion('event', [
  z.strictObject({ event: z.literal('generated'), time, key }),
  z.strictObject({
    event: z.literal('trusted'),
    time,
    key,
    trust: trustRecord
      .omit({ sinceMs: true, sinceIndex: true, expiresMs: true })
      .extend({ sinceIndex: logIndex.nullable().default(null), expires: time.nullable() }),
  }),
  z.strictObject({ event: z.literal('rotated'), time, key, previous: keyId, envelope: z.string() }),
  z.strictObject({
    event: z.literal('revoked'),
    time,
    key,
    reason: revocationReason,
    lastValidIndex: logIndex.nullable().default(null),
  }),
]);

/** What the document of a key event says. */
export type KeyEventDocument = z.output<typeof keyEvent>;
type Said<Event extends KeyEventDocument['event']> = Extract<KeyEventDocument, { event: Event }>;

/** The kind of leaf that an event has. */
export const kindOfEvent: Readonly<Record<KeyEventDocument['event'], LeafKind & ('key' | 'revoke')>> = {
  generated: 'key',
  trusted: 'key',
  rotated: 'key',
  revoked: 'revoke',
};

/** True when a leaf says that its document is a key event. */
export function isKeyEventLeaf({ kind, document }: Leaf): boolean {
  return (kind === 'key' || kind === 'revoke') && document.type === KEY_EVENT_MEDIA_TYPE;
}

/** Writes the document of an event, as canonical JSON. */
export function encodeKeyEvent(event: KeyEventDocument): Buffer {
  return Buffer.from(canonicalJson(event));
}

/**
 * Reads what a leaf's document says.
 *
 * @throws ProvenanceError PROVENANCE_KEY_EVENT when it is no key event, or its leaf not that of this event
 */
export function parseKeyEvent(bytes: Uint8Array, leaf: Leaf): KeyEventDocument {
  return asKeyEvent(() => {
    const event = keyEvent.parse(parseStrictJson(bytes, { what: 'the document', bytesMax: EVENT_BYTES_MAX }));
    // A revocation under the leaf of another key would be overlooked by all who read leaves alone.
    if (leaf.kind !== kindOfEvent[event.event] || leaf.keys.length !== 1 || leaf.keys[0] !== event.key.id) {
      throw new Error('its leaf is not that of this event');
    }
    return event;
  });
}

/** A trust record as an event's document has it. */
export function wireTrust({ expiresMs, ...record }: TrustRecord): Said<'trusted'>['trust'] {
  const { keyId: id, role, scope, predicateTypes, sinceIndex } = record;
  const expires = expiresMs === null ? null : rfc3339(expiresMs);
  return { keyId: id, role, scope, predicateTypes, sinceIndex, expires };
}

/**
 * The keyring after an event that the log has at `index`.
 *
 * @throws ProvenanceError PROVENANCE_KEY_EVENT when the event does not follow from what is known
 */
export function applyKeyEvent(state: KeyringState, event: KeyEventDocument, index: number): KeyringState {
  return asKeyEvent(() => applied(state, event, index));
}

function asKeyEvent<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const why = error instanceof z.ZodError ? faultsOf(error) : messageOf(error);
    throw new ProvenanceError('PROVENANCE_KEY_EVENT', `the key event does not count: ${why}`, {
      exit: exitStatus.verificationFailed,
      hint: 'Changes of keys come from provost key alone; provost key list shows what holds.',
      cause: error,
    });
  }
}

function applied(state: KeyringState, event: KeyEventDocument, index: number): KeyringState {
  if (event.event === 'generated') return { ...state, keys: [...state.keys, newKey(state, event)] };
  if (event.event === 'trusted') return applyTrust(state, event);
  if (event.event === 'rotated') return applyRotation(state, event, index);
  const { reason, lastValidIndex } = event;
  if (lastValidIndex !== null && lastValidIndex >= index) throw new Error('it vouches for the future');
  const revoked = { reason, atMs: Date.parse(event.time), logIndex: index, lastValidIndex };
  return applyRevocation(state, event.key.id, revoked);
}

/** The keyring in which a key is revoked; of two revocations the stricter one stays. */
export function applyRevocation(state: KeyringState, id: string, revoked: Revocation): KeyringState {
  const known = oldKey(state, id);
  if (known.revoked !== null && !isStricter(revoked, known.revoked)) return state;
  return withKey(state, { ...known, revoked });
}

/** True when a revocation leaves less valid than another, or as much and is in the log where the other is not. */
export function isStricter(one: Omit<Revocation, 'reason' | 'atMs'>, other: Revocation): boolean {
  const [last, before] = [one.lastValidIndex ?? -1, other.lastValidIndex ?? -1];
  return last < before || (last === before && one.logIndex !== null && other.logIndex === null);
}

function applyTrust(state: KeyringState, event: Said<'trusted'>): KeyringState {
  const { expires, ...trust } = event.trust;
  if (trust.keyId !== event.key.id) throw new Error('it trusts another key');
  const known = state.keys.find(({ id }) => id === event.key.id);
  // A public key is imported by the first trust in it.
  const keys = known === undefined ? [...state.keys, newKey(state, event)] : state.keys;
  if (known !== undefined && isRetired(known)) throw new Error('the key is not in use any more');
  const expiresMs = expires === null ? null : Date.parse(expires);
  const record: TrustRecord = { ...trust, sinceMs: Date.parse(event.time), expiresMs };
  const others = state.trust.filter((other) => !isSameSubject(other, record));
  return { keys, trust: [...others, record] };
}

function applyRotation(state: KeyringState, event: Said<'rotated'>, index: number): KeyringState {
  const { previous, envelope } = event;
  const old = oldKey(state, previous);
  if (isRetired(old)) throw new Error('the old key is not in use any more');
  const { keys } = withKey(state, { ...old, rotated: { atMs: Date.parse(event.time), logIndex: index } });
  const fresh = readKey({ ...recordOf(event), previous: { id: previous, envelope } });
  refuseKnown(state, fresh);
  if (fresh.name !== old.name) throw new Error('the new key has another name');
  checkRotation(old, fresh, envelope);
  const inherited = state.trust.filter((record) => record.keyId === old.id);
  return { keys: [...keys, fresh], trust: [...state.trust, ...inherited.map((one) => ({ ...one, keyId: fresh.id }))] };
}

function newKey(state: KeyringState, event: KeyEventDocument): KnownKey {
  const fresh = readKey({ ...recordOf(event), previous: null });
  refuseKnown(state, fresh);
  if (state.keys.some(({ name }) => name === fresh.name)) throw new Error('another key has its name');
  return fresh;
}

function recordOf({ key: said, time: at }: KeyEventDocument): Omit<KnownKey, 'previous' | 'public'> {
  return { ...said, createdMs: Date.parse(at), rotated: null, revoked: null };
}

function refuseKnown({ keys }: KeyringState, fresh: KnownKey): void {
  if (fresh.public.id !== fresh.id) throw new Error('its id is not that of its public part');
  if (keys.some(({ id }) => id === fresh.id)) throw new Error('the key is known already');
}

function oldKey({ keys }: KeyringState, id: string): KnownKey {
  const known = keys.find((one) => one.id === id);
  if (known === undefined) throw new Error('it is about a key that is not known');
  return known;
}

function withKey({ keys, trust }: KeyringState, changed: KnownKey): KeyringState {
  return { keys: keys.map((one) => (one.id === changed.id ? changed : one)), trust };
}

function isRetired({ rotated, revoked }: KnownKey): boolean {
  return rotated !== null || revoked !== null;
}

function isSameSubject(one: TrustRecord, other: TrustRecord): boolean {
  return one.keyId === other.keyId && one.role === other.role && one.scope === other.scope;
}
