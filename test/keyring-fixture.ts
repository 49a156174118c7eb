// A keyring with a log in memory: each change is logged and committed at once, as the engine does it.
import { type Digest, digestOf } from '../src/artifact/index.ts';
import {
  type KeyEvent,
  type Keyring,
  type KeyLog,
  type KnownKey,
  openKeyring,
  type RevokeRequest,
  type TrustRequest,
} from '../src/provenance/index.ts';

/** A log of leaves and the documents that they name. */
export class MemoryLog implements KeyLog {
  readonly entries: Buffer[] = [];
  readonly documents = new Map<Digest, Buffer>();
  /** How many entries were read. */
  readCount = 0;

  get size(): number {
    return this.entries.length;
  }

  read(from: number, limit: number): { index: number; bytes: Buffer }[] {
    const found = this.entries.slice(from, from + limit).map((bytes, at) => ({ index: from + at, bytes }));
    this.readCount += found.length;
    return found;
  }

  document(digest: Digest): Promise<Buffer | null> {
    return Promise.resolve(this.documents.get(digest) ?? null);
  }

  append({ leaf, document }: Pick<KeyEvent, 'leaf' | 'document'>): number {
    this.documents.set(digestOf(document), document);
    return this.entries.push(leaf) - 1;
  }
}

export interface LoggedEvent extends KeyEvent {
  readonly key: KnownKey;
  readonly logIndex: number;
}

type Changes = 'generateKey' | 'trustKey' | 'rotateKey' | 'revokeKey';

/** A keyring whose changes count at once. */
export interface LoggedKeyring extends Omit<Keyring, Changes> {
  readonly log: MemoryLog;
  generateKey(request: { readonly name: string; readonly nowMs: number }): LoggedEvent;
  trustKey(request: Omit<TrustRequest, 'sinceIndex'> & Partial<Pick<TrustRequest, 'sinceIndex'>>): LoggedEvent;
  rotateKey(request: { readonly key: string; readonly nowMs: number }): LoggedEvent;
  revokeKey(
    request: Omit<RevokeRequest, 'lastValidIndex' | 'logSize'> & Partial<Pick<RevokeRequest, 'lastValidIndex'>>,
  ): LoggedEvent;
}

/** Opens the keyring in `dir` with a log of its own, or with one that goes on. */
export function openLoggedKeyring(dir: string, issuer: string, log: MemoryLog = new MemoryLog()): LoggedKeyring {
  const ring = openKeyring(dir, issuer);
  const logged = (event: KeyEvent): LoggedEvent => {
    const logIndex = log.append(event);
    return { ...event, logIndex, key: ring.commit(event, logIndex) };
  };
  return {
    ...ring,
    log,
    generateKey: (request) => logged(ring.generateKey(request)),
    trustKey: (request) => logged(ring.trustKey({ sinceIndex: null, ...request })),
    rotateKey: (request) => logged(ring.rotateKey(request)),
    revokeKey: (request) => logged(ring.revokeKey({ lastValidIndex: null, logSize: log.size, ...request })),
  };
}
