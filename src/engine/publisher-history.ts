// What this host's own record says of publishers: faults of their code, and clean running time.
import type { Fault, PublisherRecord } from '../reputation/index.ts';
import type { Store } from '../store/index.ts';

type Track = Pick<PublisherRecord, 'cleanMs' | 'faults'>;

const NO_TRACK: Track = { cleanMs: 0, faults: [] };
/** Older faults beyond this many have decayed, or the publisher is beyond hope. */
const FAULTS_MAX = 200;
/** Clean time may be lost in a crash, up to this much; a fault never is, once its incident is kept. */
const SAVE_EVERY_MS = 5000;

export class PublisherHistory {
  readonly #store: Store | null;
  readonly #tracks = new Map<string, Track>();
  readonly #unsaved = new Set<string>();
  #savedMs = 0;

  /** Without a store (a home that was never used) nothing is known of anybody. */
  constructor(store: Store | null) {
    this.#store = store;
  }

  /** The record of a publisher whose key the operator trusts. */
  trusted(publisher: string): PublisherRecord {
    return { publisher, trusted: true, ...this.#track(publisher) };
  }

  /** Clean active time of a publisher's code; kept with the next `saveSometimes`. */
  addClean(publisher: string, ms: number): void {
    const track = this.#track(publisher);
    this.#set(publisher, { ...track, cleanMs: track.cleanMs + ms });
  }

  /** A fault counts from now on, and clean time starts anew; `save` makes it last. */
  addFault(publisher: string, fault: Fault): void {
    const { faults } = this.#track(publisher);
    this.#set(publisher, { cleanMs: 0, faults: [...faults, fault].slice(-FAULTS_MAX) });
  }

  /** Writes what changed. */
  save(nowMs: number): void {
    this.#savedMs = nowMs;
    for (const publisher of this.#unsaved) {
      this.#store?.publishers.put({ id: publisher, document: this.#track(publisher), updatedMs: nowMs });
    }
    this.#unsaved.clear();
  }

  /** Writes what changed, at most every few seconds. */
  saveSometimes(nowMs: number): void {
    if (this.#unsaved.size > 0 && (nowMs - this.#savedMs >= SAVE_EVERY_MS || nowMs < this.#savedMs)) this.save(nowMs);
  }

  #track(publisher: string): Track {
    const held = this.#tracks.get(publisher);
    if (held !== undefined) return held;
    const kept = (this.#store?.publishers.get({ id: publisher })?.document ?? NO_TRACK) as Track;
    this.#tracks.set(publisher, kept);
    return kept;
  }

  #set(publisher: string, track: Track): void {
    this.#tracks.set(publisher, track);
    this.#unsaved.add(publisher);
  }
}
