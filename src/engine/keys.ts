// Key events as use cases: what changes the keyring is also an entry in the journal.
import { rfc3339 } from '../base/index.ts';
import { type KeyEvent, type Keyring, type KnownKey, openKeyring } from '../provenance/index.ts';
import type { EngineContext } from './context.ts';
import { homeAt } from './home.ts';
import { reassessAll } from './reassessing.ts';
import { issuerOf } from './recording.ts';

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
    }
  | { readonly do: 'rotate'; readonly key: string }
  | { readonly do: 'revoke'; readonly key: string; readonly reason: string };

/** A key as `key list` shows it. */
export interface KeyDocument {
  readonly name: string;
  readonly keyId: string;
  readonly hasPrivate: boolean;
  readonly trust: { readonly role: string; readonly scope: string; readonly predicateTypes: readonly string[] } | null;
  readonly revoked: { readonly reason: string; readonly at: string } | null;
  readonly created: string;
  readonly logIndex: number | null;
}

/** Changes the keyring, logs the change, and judges what runs anew. */
export async function changeKeys(context: EngineContext, command: KeyCommand): Promise<KeyDocument> {
  const event = perform(context.keyring, command, context.clock.nowMs());
  await context.content.put(event.document);
  const logIndex = await context.journal.append(event.leaf, { flush: true });
  await reassessAll(context);
  return keyDocument(context.keyring, event.key, logIndex);
}

function perform(keyring: Keyring, command: KeyCommand, nowMs: number): KeyEvent {
  switch (command.do) {
    case 'generate':
      return keyring.generateKey({ name: command.name, nowMs });
    case 'trust': {
      const { key, publicKeyPem, role, scope, predicateTypes } = command;
      return keyring.trustKey({ key, publicPem: publicKeyPem, role, scope, predicateTypes, expiresMs: null, nowMs });
    }
    case 'rotate':
      return keyring.rotateKey({ key: command.key, nowMs });
    case 'revoke':
      return keyring.revokeKey({ key: command.key, reason: command.reason, nowMs });
    default:
      return command satisfies never;
  }
}

function keyDocument(keyring: Keyring, key: KnownKey, logIndex: number | null): KeyDocument {
  const trust = keyring.state().trust.findLast(({ keyId }) => keyId === key.id);
  return {
    name: key.name,
    keyId: key.id,
    hasPrivate: keyring.hasPrivate(key.id),
    trust: trust === undefined ? null : { role: trust.role, scope: trust.scope, predicateTypes: trust.predicateTypes },
    revoked: key.revoked === null ? null : { reason: key.revoked.reason, at: rfc3339(key.revoked.atMs) },
    created: rfc3339(key.createdMs),
    logIndex,
  };
}

/** All keys of a home, for commands that only read. */
export function listKeyDocuments(homeDir: string): KeyDocument[] {
  const home = homeAt(homeDir);
  const keyring = openKeyring(home.keysDir, issuerOf(home));
  return keyring.state().keys.map((key) => keyDocument(keyring, key, null));
}
