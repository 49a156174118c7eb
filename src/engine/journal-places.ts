// What the journal has at a place: an attestation that claims one must be the document that was logged there.
import type { Digest } from '../artifact/index.ts';
import type { Journal } from '../ledger/index.ts';
import { parseLeaf } from '../provenance/index.ts';

/** Places that are remembered: an entry never changes. */
const PLACES_MAX = 65_536;

/** Answers the digest of the document that the journal has at an index; null where it has none. */
export function openPlaces(journal: Journal): (index: number) => Digest | null {
  const known = new Map<number, Digest>();
  return (index) => {
    const digest = known.get(index) ?? readPlace(journal, index);
    if (digest !== null && known.size < PLACES_MAX) known.set(index, digest);
    return digest;
  };
}

function readPlace(journal: Journal, index: number): Digest | null {
  const [entry] = index < journal.size ? journal.read(index, 1) : [];
  return entry === undefined ? null : parseLeaf(entry.bytes).document.digest;
}
