// What a log's files say after whatever ended its writer: every entry that was acknowledged, and nothing that contradicts a checkpoint.
import { isSameBytes } from '../base/index.ts';
import { type Checkpoint, verifyCheckpoint } from './checkpoint.ts';
import { parseBundle } from './entry-bundle.ts';
import type { LogDisk } from './log-disk.ts';
import { corruptLog, listSegments, type LogFiles, type LogState, readState, readTile } from './log-files.ts';
import type { NoteVerifier } from './note-key.ts';
import { edgeTiles, TILE_WIDTH, tileWidth } from './tile-name.ts';
import { TreeEdge } from './tree-edge.ts';
import { EMPTY_ROOT, HASH_BYTES } from './tree-hash.ts';
import { parseSegment } from './write-ahead.ts';

/** A checkpoint as it is served. */
export interface Published {
  readonly size: number;
  /** Empty before the first. */
  readonly note: Buffer;
}

/** A log as its files have it. */
export interface Recovered {
  readonly edge: TreeEdge;
  readonly published: Published;
  /** Entries after those of the published checkpoint. */
  readonly unpublished: readonly Buffer[];
  /** Indexes of the first entries of the segments that are there. */
  readonly segments: readonly number[];
  /** A write that was cut short is at the end of the last segment: its whole batches have so many bytes. */
  readonly torn: { readonly first: number; readonly end: number } | null;
}

/**
 * Reads a log: the tiles that are known to be durable, then the batches after them.
 *
 * @throws LedgerError LEDGER_CORRUPT when an entry that was acknowledged is missing, or a checkpoint is of another tree
 */
export function recoverLog(disk: LogDisk, files: LogFiles, log: NoteVerifier): Recovered {
  const state = readState(disk, files) ?? { size: 0, root: EMPTY_ROOT };
  const edge = readEdge(disk, files, state.size);
  if (!isSameBytes(edge.root(), state.root))
    throw corruptLog(files, `its tiles are not those of ${state.size} entries`);
  const claimed = readCheckpoint(disk, files, log);
  const replayed = replayBatches(disk, files, { edge, from: claimed?.size ?? 0 });
  checkClaim(files, { claimed, state, edge, rootThen: replayed.rootAt });
  const note = disk.read(files.checkpoint) ?? Buffer.alloc(0);
  const published = { size: claimed?.size ?? 0, note };
  return { edge, published, unpublished: replayed.after, segments: replayed.segments, torn: replayed.torn };
}

/** The edge of the tree of `size` entries, from its tiles. */
export function readEdge(disk: LogDisk, files: LogFiles, size: number): TreeEdge {
  const tiles = edgeTiles(size).map((name) =>
    name.width === 0 ? Buffer.alloc(0) : readTile(disk, files, name).subarray(0, name.width * HASH_BYTES),
  );
  const index = Math.floor(size / TILE_WIDTH);
  const width = tileWidth(size, 'entries', index);
  const bundle = width === 0 ? [] : parseBundle(readTile(disk, files, { level: 'entries', index, width }), width);
  return TreeEdge.resume(size, tiles, bundle);
}

function readCheckpoint(disk: LogDisk, files: LogFiles, log: NoteVerifier): Checkpoint | null {
  const bytes = disk.read(files.checkpoint);
  return bytes === null ? null : verifyCheckpoint(bytes, { log: [log], witnesses: [], quorum: 0 });
}

interface Replay {
  /** Grows by what is replayed. */
  readonly edge: TreeEdge;
  /** Entries from here on are kept, and the root of the tree of so many. */
  readonly from: number;
}

interface Replayed extends Pick<Recovered, 'segments' | 'torn'> {
  readonly after: readonly Buffer[];
  readonly rootAt: Buffer | null;
}

function replayBatches(disk: LogDisk, files: LogFiles, { edge, from }: Replay): Replayed {
  const segments = listSegments(disk, files);
  const after: Buffer[] = [];
  let rootAt = edge.size === from ? edge.root() : null;
  let torn: Recovered['torn'] = null;
  for (const first of segments) {
    const { batches, end, rest } = parseSegment(disk.read(files.segment(first)) ?? Buffer.alloc(0));
    if (rest === 'damaged' || (rest === 'torn' && first !== segments.at(-1)))
      throw corruptLog(files, `a batch in ${files.segment(first)} is`);
    if (rest === 'torn') torn = { first, end };
    for (const batch of batches) {
      if (batch.first > edge.size) throw corruptLog(files, `entries ${edge.size} to ${batch.first - 1} are missing`);
      for (const entry of batch.entries.slice(edge.size - batch.first)) {
        if (edge.size >= from) after.push(Buffer.from(entry));
        edge.add(Buffer.from(entry));
        if (edge.size === from) rootAt = edge.root();
      }
    }
  }
  return { segments, torn, after, rootAt };
}

interface Claim {
  /** The checkpoint that is served; null when there is none. */
  readonly claimed: Checkpoint | null;
  readonly state: LogState;
  readonly edge: TreeEdge;
  /** The root of as many entries as the checkpoint has; null when it has other entries than are there. */
  readonly rootThen: Buffer | null;
}

function checkClaim(files: LogFiles, { claimed, state, edge, rootThen }: Claim): void {
  const size = claimed?.size ?? 0;
  if (size > edge.size)
    throw corruptLog(files, `its checkpoint is of ${size} entries, and ${edge.size} of them are there`);
  // A state is written after its checkpoint is durable.
  if (size < state.size)
    throw corruptLog(files, `its checkpoint is of ${size} entries, and it had one of ${state.size}`);
  if (claimed !== null && (rootThen === null || !isSameBytes(rootThen, claimed.root)))
    throw corruptLog(files, `its entries are not those of its checkpoint of ${size}`);
}
