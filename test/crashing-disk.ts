// A disk in memory that forgets, as a power cut makes it: what was not synced is there, or partly, or not at all.
import type { AppendFile, LogDisk } from '../src/ledger/log-disk.ts';

/** The error of every operation from the crash on. */
class PowerCut extends Error {}

/** How a file got a content: written beside and moved in its place; the same, synced before that; added to; removed. */
type Change = 'replace' | 'whole' | 'append' | 'remove';

/** What a file may hold after a power cut: each content that it had since it was durable last; null for no file. */
interface File {
  durable: Buffer | null;
  now: Buffer | null;
  /** In order. */
  since: { readonly kind: Change; readonly content: Buffer | null }[];
}

const NOTHING = Buffer.alloc(0);

export class CrashingDisk implements LogDisk {
  readonly #files: Map<string, File>;
  readonly #failAt: number;
  #operations = 0;
  /** Called after each replaced file: what others can see at once. */
  onReplace: (path: string, bytes: Buffer) => void = () => undefined;

  /** @param failAt the operation that fails, and all after it */
  constructor(failAt: number, files = new Map<string, File>()) {
    this.#failAt = failAt;
    this.#files = files;
  }

  /** What a restart finds, on a disk that fails at `failAt`. `random` gives numbers from 0 (included) to 1. */
  afterCrash(random: () => number, failAt: number): CrashingDisk {
    const left = new Map<string, File>();
    for (const [path, file] of this.#files) {
      const content = remains(file, random);
      left.set(path, { durable: content, now: content, since: [] });
    }
    return new CrashingDisk(failAt, left);
  }

  read(path: string): Buffer | null {
    return this.#files.get(path)?.now ?? null;
  }

  list(dir: string): string[] {
    return [...new Set(this.#below(dir).map((path) => path.slice(dir.length + 1).split('/')[0] ?? ''))];
  }

  replace(path: string, bytes: Uint8Array): void {
    this.#step();
    this.#change(path, 'replace', Buffer.from(bytes));
    this.onReplace(path, Buffer.from(bytes));
  }

  async replaceWhole(path: string, bytes: Uint8Array): Promise<void> {
    await Promise.resolve();
    this.#step();
    this.#change(path, 'whole', Buffer.from(bytes));
    this.onReplace(path, Buffer.from(bytes));
  }

  async sync(paths: Iterable<string>): Promise<void> {
    for (const path of new Set(paths)) {
      this.#step();
      this.#settle(path);
      await Promise.resolve();
    }
  }

  remove(path: string): void {
    this.#step();
    for (const found of [path, ...this.#below(path)])
      if (this.read(found) !== null) this.#change(found, 'remove', null);
  }

  openAppend(path: string, length: number): AppendFile {
    const cut = (bytes: number): void => this.#change(path, 'append', (this.read(path) ?? NOTHING).subarray(0, bytes));
    this.#step();
    cut(length);
    // What is cut off is gone for good; a new file is there for good only when it is synced.
    if (this.#files.get(path)?.durable !== null) this.#settle(path);
    return {
      append: (bytes) => {
        this.#step();
        this.#change(path, 'append', Buffer.concat([this.read(path) ?? NOTHING, bytes]));
      },
      sync: async () => {
        await Promise.resolve();
        this.#step();
        this.#settle(path);
      },
      cutTo: (bytes) => {
        this.#step();
        cut(bytes);
      },
      [Symbol.dispose]: () => undefined,
    };
  }

  #step(): void {
    this.#operations += 1;
    if (this.#operations >= this.#failAt) throw new PowerCut('power cut');
  }

  #change(path: string, kind: Change, content: Buffer | null): void {
    const file = this.#files.get(path) ?? { durable: null, now: null, since: [] };
    file.now = content;
    file.since.push({ kind, content });
    this.#files.set(path, file);
  }

  #below(dir: string): string[] {
    return [...this.#files].flatMap(([path, { now }]) => (now !== null && path.startsWith(`${dir}/`) ? [path] : []));
  }

  #settle(path: string): void {
    const file = this.#files.get(path);
    if (file === undefined || file.now === null) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    file.durable = file.now;
    file.since = [];
  }
}

/** One of the contents that a file may have after a crash. */
function remains({ durable, since }: File, random: () => number): Buffer | null {
  const until = Math.floor(random() * (since.length + 1));
  const last = since[until - 1];
  if (last === undefined) return durable;
  const before = since[until - 2]?.content ?? durable ?? NOTHING;
  if (last.content === null || last.kind === 'whole' || random() < 0.5) return last.content;
  // A name may reach the disk before its bytes, and the end of a file before what is in it.
  const kept = last.kind === 'append' ? Math.min(before.length, last.content.length) : 0;
  const cut = kept + Math.floor(random() * (last.content.length - kept + 1));
  if (random() < 0.5) return last.content.subarray(0, cut);
  return Buffer.concat([last.content.subarray(0, cut), Buffer.alloc(last.content.length - cut)]);
}
