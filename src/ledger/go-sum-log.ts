// A log as Go's checksum database: each module at a version once, found by name, and served by the paths that the go command asks for.
import { exitStatus } from '../base/index.ts';
import { type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { parseBundle } from './entry-bundle.ts';
import { type GoModule, parseEscapedModule } from './go-module.ts';
import { goModuleKey } from './go-record.ts';
import { LedgerError } from './journal.ts';
import { readKey } from './log-key.ts';
import { type NoteSigner, parseSignerKey } from './note-key.ts';
import { openPublicLog, type PublicLog, type PublicLogOptions } from './public-log.ts';
import { readServedFile, type ServedFile } from './served-file.ts';
import { signNote } from './signed-note.ts';
import { parseTilePath } from './tile-name.ts';

/** The first line of a tree that the go command reads. @source golang.org/x/mod, sumdb/tlog/note.go */
const TREE_HEAD = 'go.sum database tree';
const GO_TILE_PATH = /^tile\/8\/(\d{1,2}|data)\/(.+)$/;

/** A checksum database that this process writes. */
export interface GoSumLog extends AsyncDisposable {
  readonly origin: string;
  readonly size: number;
  /**
   * Resolves to the record's index once it is durable.
   *
   * @throws LedgerError LEDGER_RECORD; LEDGER_RECORD_CONFLICT when the module has other hashes at this version
   */
  add(record: Uint8Array): Promise<number>;
  /** The signed tree as the go command reads it, of the published checkpoint. @throws LedgerError LEDGER_UNAVAILABLE before the first */
  latest(): Buffer;
  /**
   * A record with its index and the signed tree, of a module as a URL has it: `example.com/!mod@v1.0.0`.
   *
   * @throws LedgerError LEDGER_RECORD when it is none; LEDGER_NO_RECORD
   */
  lookup(escaped: string): Promise<Buffer>;
  /** A file by its path, as C2SP has it or as the go command asks; null when there is none. */
  file(path: string): ServedFile | null;
}

/**
 * Opens a log of the format `gosum` for writing.
 *
 * @throws as `openPublicLog`
 */
export async function openGoSumLog(options: PublicLogOptions): Promise<GoSumLog> {
  const signer = parseSignerKey(readKey(options.dir));
  return new ModuleLog(await openPublicLog(options), { dir: options.dir, signer });
}

interface Parts {
  readonly dir: string;
  readonly signer: NoteSigner;
}

class ModuleLog implements GoSumLog {
  readonly #log: PublicLog;
  readonly #parts: Parts;
  /** The last tree that was signed: checkpoints are fewer than questions. */
  #tree: { readonly checkpoint: Buffer; readonly size: number; readonly note: Buffer } | null = null;

  constructor(log: PublicLog, parts: Parts) {
    this.#log = log;
    this.#parts = parts;
  }

  get origin(): string {
    return this.#log.origin;
  }

  get size(): number {
    return this.#log.size;
  }

  async add(record: Uint8Array): Promise<number> {
    const index = await this.#log.add(record);
    // One of the same module is found by its name, whatever its hashes.
    if (this.#record(index).equals(record)) return index;
    throw new LedgerError('LEDGER_RECORD_CONFLICT', `entry ${index} has other hashes for this module at this version`, {
      exit: exitStatus.differences,
      hint: 'A version is never changed: release the change under a new version.',
      details: { index },
    });
  }

  latest(): Buffer {
    return this.#signedTree().note;
  }

  async lookup(escaped: string): Promise<Buffer> {
    const module = parseEscapedModule(escaped);
    if (module === null) throw badModule();
    const index = this.#log.find(goModuleKey(module));
    if (index === null) throw noRecord(module);
    // The client believes a record under the tree that comes with it.
    if (this.#signedTree().size <= index) await this.#log.receipt(index);
    return Buffer.concat([Buffer.from(`${index}\n`), this.#record(index), Buffer.from('\n'), this.latest()]);
  }

  file(path: string): ServedFile | null {
    const [, level, rest] = GO_TILE_PATH.exec(path) ?? [];
    if (level === undefined) return readServedFile(this.#parts.dir, path);
    if (level !== 'data') return readServedFile(this.#parts.dir, `tile/${level}/${rest}`);
    const bundlePath = `tile/entries/${rest}`;
    const bundle = readServedFile(this.#parts.dir, bundlePath);
    const width = parseTilePath(bundlePath)?.width ?? 0;
    if (bundle === null) return null;
    // An empty line ends each record.
    const bytes = Buffer.concat(parseBundle(bundle.bytes, width).flatMap((record) => [record, Buffer.from('\n')]));
    return { ...bundle, bytes, mediaType: 'text/plain; charset=utf-8' };
  }

  #record(index: number): Buffer {
    return this.#log.read(index, 1)[0]?.bytes ?? Buffer.alloc(0);
  }

  #signedTree(): { readonly size: number; readonly note: Buffer } {
    const { dir, signer } = this.#parts;
    const checkpoint = readServedFile(dir, 'checkpoint')?.bytes;
    if (checkpoint === undefined) throw noTree();
    if (this.#tree?.checkpoint.equals(checkpoint) === true) return this.#tree;
    // Signed again in another form: only what this log signed.
    const verified = verifyCheckpoint(checkpoint, { log: [signer.verifier], witnesses: [], quorum: 0 });
    this.#tree = { checkpoint, size: verified.size, note: signNote(treeText(verified), [signer]) };
    return this.#tree;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#log[Symbol.asyncDispose]();
  }
}

function treeText({ size, root }: VerifiedCheckpoint): string {
  return `${TREE_HEAD}\n${size}\n${root.toString('base64')}\n`;
}

function badModule(): LedgerError {
  return new LedgerError('LEDGER_RECORD', 'this is no canonical module@version', {
    exit: exitStatus.usage,
    hint: 'Ask for <module>@<version>, each capital letter as an exclamation mark and the small one.',
  });
}

function noRecord({ path, version }: GoModule): LedgerError {
  return new LedgerError('LEDGER_NO_RECORD', `there is no record of ${path}@${version}`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Have its two lines of go.sum added: POST /add.',
  });
}

function noTree(): LedgerError {
  return new LedgerError('LEDGER_UNAVAILABLE', 'the log has no checkpoint yet', {
    exit: exitStatus.unavailable,
    hint: 'Ask again in a moment; with witnesses, check that they answer.',
  });
}
