// Tiles and checkpoints on the disk: published at once, durable a little later.
import { checkpointText } from './checkpoint.ts';
import type { BatchSegments } from './batch-segments.ts';
import type { LogDisk } from './log-disk.ts';
import {
  encodeState,
  forgottenFolders,
  type LogFiles,
  type LogState,
  partialFolder,
  partialWidths,
} from './log-files.ts';
import type { Published } from './log-recovery.ts';
import type { NoteSigner } from './note-key.ts';
import { signNote } from './signed-note.ts';
import type { TileName } from './tile-name.ts';
import type { TileFile, TreeEdge } from './tree-edge.ts';

/** Bytes of batches after which tiles are made durable: what the next opening has to read again. */
const SETTLE_BYTES = 16 * 1024 * 1024;

/** What a publisher works with. */
export interface PublisherParts {
  readonly disk: LogDisk;
  readonly files: LogFiles;
  readonly signer: NoteSigner;
  readonly segments: BatchSegments;
  /** Tiles are made durable this long after the last time, once one is full: until then the partial ones before it stay. */
  readonly settleAfterMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly nowMs: () => number;
  /** Gives a checkpoint with the cosignatures of witnesses. */
  readonly cosign: (checkpoint: Buffer) => Promise<Buffer>;
}

/** Publishes one log. Its methods are called one at a time; errors are those of the disk. */
export class TilePublisher {
  readonly #parts: PublisherParts;
  /** Full tiles that were written since tiles were made durable last, and the partial ones of the last checkpoint. */
  #full: TileName[] = [];
  #partial: TileName[] = [];
  /** Folders of partial tiles that may be there: most tiles are full before a checkpoint needs a part of them. */
  readonly #partialFolders = new Set<string>();
  #last: LogState | null = null;
  #settledMs: number;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#settledMs = parts.nowMs();
  }

  /**
   * Writes the tiles of the tree as it is now, then the checkpoint over them: `known`, or a new one. Entries may be added meanwhile.
   */
  async publish(edge: TreeEdge, known: Buffer | null = null): Promise<Published> {
    const { disk, files, signer, cosign } = this.#parts;
    const state = { size: edge.size, root: edge.root() };
    const [full, partial] = [edge.takeFull(), edge.partial()];
    for (const { name, bytes } of full) disk.replace(files.tile(name), bytes);
    for (const file of partial) this.#writePartial(file);
    this.#full.push(...full.map(({ name }) => name));
    this.#partial = partial.map(({ name }) => name);
    for (const name of this.#partial) this.#partialFolders.add(partialFolder(files, name));
    const text = checkpointText({ origin: signer.name, ...state, extensions: [] });
    const note = known ?? (await cosign(signNote(text, [signer])));
    await disk.replaceWhole(files.checkpoint, note);
    this.#last = state;
    return { size: state.size, note };
  }

  /** One that may be what the next opening begins from is not written again: a power cut in the midst would lose it. */
  #writePartial({ name, bytes }: TileFile): void {
    const { disk, files } = this.#parts;
    const path = files.tile(name);
    const isThere =
      this.#last === null
        ? disk.read(path)?.equals(bytes) === true
        : this.#partial.some((other) => files.tile(other) === path);
    if (!isThere) disk.replace(path, bytes);
  }

  /**
   * What a power cut may have left: names of partial tiles without their bytes. Those of earlier checkpoints are written again; those
   * beside a full tile go, where a removal was forgotten.
   */
  mend(edge: TreeEdge): void {
    const { disk, files } = this.#parts;
    for (const folder of forgottenFolders(disk, files, edge.size)) disk.remove(folder);
    for (const { name } of edge.partial()) {
      for (const width of partialWidths(disk, files, name))
        if (width < name.width) disk.replace(files.tile({ ...name, width }), edge.narrowed(name, width));
    }
  }

  get isSettlingDue(): boolean {
    const { segments, nowMs, settleAfterMs } = this.#parts;
    return this.#full.length > 0 && (segments.bytes > SETTLE_BYTES || nowMs() - this.#settledMs >= settleAfterMs);
  }

  /**
   * Makes the tiles of the last checkpoint durable. Then the batches of their entries can go, and the partial tiles whose full ones are
   * there: before that, an opening may need them.
   */
  async settle(): Promise<void> {
    const { disk, files, segments, nowMs } = this.#parts;
    const state = this.#last;
    if (state === null) return;
    const full = this.#full;
    this.#full = [];
    segments.end();
    await disk.sync([...[...full, ...this.#partial].map((name) => files.tile(name)), files.checkpoint], files.root);
    await disk.replaceWhole(files.state, encodeState(state));
    await disk.sync([files.state], files.root);
    segments.removeUntil(state.size);
    for (const folder of full.map((name) => partialFolder(files, name)))
      if (this.#partialFolders.delete(folder)) disk.remove(folder);
    this.#settledMs = nowMs();
  }
}
