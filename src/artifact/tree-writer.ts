// Writes the entries of one layer into a fresh folder that nobody else writes to. Follows no link, ever: what exists is what
// this writer made, so its own record of it decides every name, and each file is made with O_EXCL.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';

import { invariant } from '../base/index.ts';
import type { Kernel } from './kernel.ts';
import { hostile, quoted } from './refusal.ts';
import type { TarEntry } from './tar-entry.ts';

type NodeKind = 'directory' | 'file' | 'symlink' | 'fifo' | 'whiteout';

interface OpenFile {
  readonly fd: number;
  readonly path: Buffer;
  readonly entry: TarEntry;
}

const OPAQUE_ATTRIBUTE = 'trusted.overlay.opaque';
const OPAQUE = Buffer.from('y');
const ROOT = '';
/** Folders that no entry describes, such as the parents of a lone file: as Docker makes them. */
const IMPLICIT_DIR_MODE = 0o755;
/** Times are kept within what ext4 can hold: 34 bits of seconds. */
const MTIME_MAX = 2 ** 34 - 1;

/** Writes one layer below `root`. After any error the folder is to be thrown away whole. */
export class TreeWriter {
  readonly #root: string;
  readonly #kernel: Kernel;
  /** Every name made so far, as a binary string relative to the root. */
  readonly #made = new Map<string, NodeKind>([[ROOT, 'directory']]);
  /** Folders get their owner, mode and time at the end, when nothing changes in them any more. */
  readonly #dirs = new Map<string, TarEntry | null>([[ROOT, null]]);
  readonly #opaque = new Set<string>();
  #file: OpenFile | null = null;

  /** @param root absolute path of an existing, empty folder of mode 0700, as a binary string */
  constructor(root: string, kernel: Kernel) {
    this.#root = root;
    this.#kernel = kernel;
  }

  /** How many names exist by now, the root among them. */
  get madeCount(): number {
    return this.#made.size;
  }

  directory(entry: TarEntry): void {
    if (this.#made.get(entry.path) !== 'directory') {
      this.#claim(entry.path, 'directory');
      mkdirSync(this.#full(entry.path), 0o700);
    }
    this.#dirs.set(entry.path, entry);
  }

  /** Opens a file; then {@link write} its content, then {@link endFile}. */
  beginFile(entry: TarEntry): void {
    invariant(this.#file === null, 'a file is still open');
    this.#claim(entry.path, 'file');
    const path = this.#full(entry.path);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    this.#file = { fd: openSync(path, flags, 0o600), path, entry };
  }

  write(piece: Buffer): void {
    invariant(this.#file !== null, 'no file is open');
    for (let at = 0; at < piece.length;) at += writeSync(this.#file.fd, piece, at);
  }

  endFile(): void {
    invariant(this.#file !== null, 'no file is open');
    const { fd, path, entry } = this.#file;
    // The owner first: changing it clears setuid bits and file capabilities.
    if (entry.uid !== 0 || entry.gid !== 0) fchownSync(fd, entry.uid, entry.gid);
    fchmodSync(fd, entry.mode);
    for (const [name, value] of entry.attributes) this.#kernel.setAttribute(path, name, value);
    futimesSync(fd, timeOf(entry), timeOf(entry));
    this.close();
  }

  symlink(entry: TarEntry): void {
    this.#claim(entry.path, 'symlink');
    const path = this.#full(entry.path);
    symlinkSync(Buffer.from(entry.linkPath, 'latin1'), path);
    if (entry.uid !== 0 || entry.gid !== 0) lchownSync(path, entry.uid, entry.gid);
    lutimesSync(path, timeOf(entry), timeOf(entry));
  }

  /** Only to what this layer itself brought before: anything else would reach outside of it. link(2) follows no symlink. */
  hardLink(entry: TarEntry): void {
    const target = this.#made.get(entry.linkPath);
    if (target !== 'file' && target !== 'symlink') {
      throw hostile(
        `the hard link ${quoted(entry.path)} names ${quoted(entry.linkPath)}, which this layer did not bring`,
      );
    }
    this.#parentOf(entry.linkPath);
    this.#claim(entry.path, target);
    linkSync(this.#full(entry.linkPath), this.#full(entry.path));
  }

  fifo(entry: TarEntry): void {
    this.#claim(entry.path, 'fifo');
    const path = this.#full(entry.path);
    this.#kernel.makeFifo(path, 0o600);
    if (entry.uid !== 0 || entry.gid !== 0) lchownSync(path, entry.uid, entry.gid);
    chmodSync(path, entry.mode);
    lutimesSync(path, timeOf(entry), timeOf(entry));
  }

  /** Hides `path` of the layers below. A name that this layer itself brings hides it already; a folder does when opaque. */
  whiteout(path: string): void {
    const existing = this.#made.get(path);
    if (existing === 'directory') this.opaque(path);
    if (existing !== undefined) return;
    this.#claim(path, 'whiteout');
    this.#kernel.makeWhiteout(this.#full(path));
  }

  /** Hides everything that the layers below have in the folder `path`. */
  opaque(path: string): void {
    if (this.#made.get(path) !== 'directory') {
      this.#claim(path, 'directory');
      mkdirSync(this.#full(path), 0o700);
      this.#dirs.set(path, null);
    }
    this.#opaque.add(path);
  }

  /** Gives every folder its owner, mode and time. Nothing may be written afterwards. */
  finish(): void {
    invariant(this.#file === null, 'a file is still open');
    for (const [path, entry] of this.#dirs) {
      const full = this.#full(path);
      if (this.#opaque.has(path)) this.#kernel.setAttribute(full, OPAQUE_ATTRIBUTE, OPAQUE);
      if (entry !== null && (entry.uid !== 0 || entry.gid !== 0)) chownSync(full, entry.uid, entry.gid);
      chmodSync(full, entry?.mode ?? IMPLICIT_DIR_MODE);
      for (const [name, value] of entry?.attributes ?? []) this.#kernel.setAttribute(full, name, value);
      const time = entry === null ? 0 : timeOf(entry);
      utimesSync(full, time, time);
    }
  }

  /** Closes a file that an error left open; safe to call at any time. */
  close(): void {
    const file = this.#file;
    this.#file = null;
    if (file !== null) closeSync(file.fd);
  }

  /** Records that `path` comes to be; refuses a name that this layer brought already. */
  #claim(path: string, kind: NodeKind): void {
    const existing = this.#made.get(path);
    if (existing === 'whiteout') {
      unlinkSync(this.#full(path));
      if (kind === 'directory') this.#opaque.add(path);
    } else if (existing !== undefined) {
      throw hostile(`the layer brings ${quoted(path)} twice`);
    } else {
      this.#parentOf(path);
    }
    this.#made.set(path, kind);
  }

  /** Makes the folders above `path` that are not there, and refuses one that is no folder: a link there would be followed. */
  #parentOf(path: string): void {
    const slash = path.lastIndexOf('/');
    const parent = slash === -1 ? ROOT : path.slice(0, slash);
    const kind = this.#made.get(parent);
    if (kind === 'directory') return;
    if (kind !== undefined && kind !== 'whiteout') {
      throw hostile(`the layer writes ${quoted(path)} below ${quoted(parent)}, which is a ${kind}`);
    }
    this.#claim(parent, 'directory');
    mkdirSync(this.#full(parent), 0o700);
    this.#dirs.set(parent, null);
  }

  #full(path: string): Buffer {
    return Buffer.from(path === ROOT ? this.#root : `${this.#root}/${path}`, 'latin1');
  }
}

function timeOf(entry: TarEntry): number {
  return Math.min(Math.max(entry.mtime, 0), MTIME_MAX);
}
