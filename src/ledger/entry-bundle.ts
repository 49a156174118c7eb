// Bundles of entries: each entry after its length, two bytes. @source https://c2sp.org/tlog-tiles, Log entries
import { exitStatus } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import { TILE_WIDTH } from './tile-name.ts';

const LENGTH_BYTES = 2;
/** Largest entry that a bundle can hold. */
export const BUNDLED_BYTES_MAX = 0xffff;

/** Writes entries as a bundle, after `headBytes` bytes that are the caller's to write. */
export function encodeBundle(entries: readonly Uint8Array[], headBytes = 0): Buffer {
  let total = headBytes;
  for (const entry of entries) total += LENGTH_BYTES + entry.length;
  const bundle = Buffer.allocUnsafe(total);
  let at = headBytes;
  for (const entry of entries) {
    bundle.writeUInt16BE(entry.length, at);
    bundle.set(entry, at + LENGTH_BYTES);
    at += LENGTH_BYTES + entry.length;
  }
  return bundle;
}

/**
 * Parses a bundle of `width` entries; of a fuller one the first so many.
 *
 * @throws LedgerError LEDGER_TILE
 */
export function parseBundle(bytes: Uint8Array, width: number): Buffer[] {
  const bundle = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Buffer[] = [];
  let at = 0;
  while (at < bundle.length && entries.length < TILE_WIDTH) {
    const length = at + LENGTH_BYTES <= bundle.length ? bundle.readUInt16BE(at) : Number.POSITIVE_INFINITY;
    if (at + LENGTH_BYTES + length > bundle.length) throw badBundle('an entry in it is cut off');
    entries.push(bundle.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length));
    at += LENGTH_BYTES + length;
  }
  if (at < bundle.length) throw badBundle(`it holds more than ${TILE_WIDTH} entries`);
  if (entries.length < width) throw badBundle(`it holds ${entries.length} of ${width} entries`);
  return entries.slice(0, width);
}

function badBundle(why: string): LedgerError {
  return new LedgerError('LEDGER_TILE', `a bundle of entries cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'The log serves a damaged file: get it from a mirror.',
  });
}
