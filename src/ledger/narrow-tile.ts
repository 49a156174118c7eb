// A tile as an earlier tree had it.
import { encodeBundle, parseBundle } from './entry-bundle.ts';
import type { TileName } from './tile-name.ts';
import { HASH_BYTES } from './tree-hash.ts';

/** The tile or bundle `name` from the bytes of one that is as wide or wider: it begins with the same. @throws LedgerError LEDGER_TILE for a bundle that has fewer entries */
export function narrowTile(wider: Buffer, { level, width }: TileName): Buffer {
  return level === 'entries' ? encodeBundle(parseBundle(wider, width)) : wider.subarray(0, width * HASH_BYTES);
}
