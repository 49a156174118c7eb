// A recording on the disk: its windows, gzipped JSON Lines, and its manifest, written last.
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { createInterface } from 'node:readline';
import { createGunzip, createGzip } from 'node:zlib';
import { z } from 'zod';
import type { Window } from '../../src/behaviour/index.ts';
import { DatasetError, MANIFEST_FILE, type Manifest, parseManifest, WINDOWS_FILE } from './manifest.ts';
import { type RecordedRun, windowLine } from './recorded-run.ts';

const WINDOWS_MAX = 2_000_000;
const LINE_CHARACTERS_MAX = 4_000_000;
const TEXT_MAX = 4096;
const LIST_MAX = 100_000;

const amount = z.number().min(0);
const pairs = z.array(z.tuple([amount, amount])).max(LIST_MAX);
const text = z.string().max(TEXT_MAX);

const line = z.strictObject({
  run: text,
  label: z.enum(['normal', 'attack']),
  window: z
    .strictObject({
      startMs: amount,
      durationMs: amount,
      cpuMs: amount,
      throttledMs: amount,
      memoryBytes: amount,
      memoryPeakBytes: amount,
      majorFaults: amount,
      minorFaults: amount,
      memoryLimitHits: amount,
      oomKills: amount,
      readBytes: amount,
      writeBytes: amount,
      pids: amount,
      rxBytes: amount,
      txBytes: amount,
      rxPackets: amount,
      txPackets: amount,
      droppedPackets: amount,
      newDestinations: z.array(text).max(LIST_MAX),
      syscalls: pairs,
      compatCalls: amount.optional(),
      grams: pairs.optional(),
      audit: z
        .array(
          z.looseObject({
            timeMs: amount,
            kind: z.enum(['exec', 'connect', 'bind', 'destination', 'open', 'call']),
            comm: text,
            pid: amount,
            target: text,
            detail: text.optional(),
          }),
        )
        .max(LIST_MAX),
      coverage: z.number().min(0).max(1),
    })
    .loose(),
});

/** A window with what it shows. */
export interface LabelledWindow {
  readonly label: 'normal' | 'attack';
  readonly window: Window;
}

/** A recording that is being written. */
export interface WindowWriter {
  write(run: Pick<RecordedRun, 'id' | 'attack'>, windows: readonly Window[]): void;
  /** Closes the file; resolves to its SHA-256. */
  end(): Promise<string>;
}

/** Starts a recording in a folder; one that was there is no more. */
export function openWriter(folder: string): WindowWriter {
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, MANIFEST_FILE), { force: true });
  const path = join(folder, WINDOWS_FILE);
  const zip = createGzip();
  const file = createWriteStream(path);
  zip.pipe(file);
  const written = once(file, 'close');
  return {
    write: (run, windows) => {
      for (const window of windows) zip.write(`${windowLine(run, window)}\n`);
    },
    end: async () => {
      zip.end();
      await written;
      return fileDigest(path);
    },
  };
}

/** Says that the recording is whole. */
export function writeManifest(folder: string, manifest: Manifest): void {
  const path = join(folder, MANIFEST_FILE);
  writeFileSync(`${path}.part`, `${JSON.stringify(manifest, null, 1)}\n`);
  renameSync(`${path}.part`, path);
}

/** A recording that was read. */
export interface Recorded {
  readonly manifest: Manifest;
  readonly windows: ReadonlyMap<string, readonly LabelledWindow[]>;
}

/**
 * Reads a recording, everything in it checked.
 *
 * @throws DatasetError when it is none, or its windows are not those that the manifest tells of
 */
export async function readRecording(folder: string): Promise<Recorded> {
  const path = join(folder, MANIFEST_FILE);
  if (!existsSync(path)) throw new DatasetError(`${folder} holds no whole recording: it has no ${MANIFEST_FILE}`);
  const manifest = parseManifest(readFileSync(path, 'utf8'));
  const file = join(folder, WINDOWS_FILE);
  if (!existsSync(file) || (await fileDigest(file)) !== manifest.windows)
    throw new DatasetError(`${WINDOWS_FILE} is not the file that ${MANIFEST_FILE} tells of`);
  const windows = new Map(manifest.runs.map(({ id }): [string, LabelledWindow[]] => [id, []]));
  let number = 0;
  for await (const one of createInterface({ input: createReadStream(file).pipe(createGunzip()) })) {
    number += 1;
    if (number > WINDOWS_MAX) throw new DatasetError(`more than ${WINDOWS_MAX} windows`);
    const { run, label, window } = parseLine(one, number);
    const known = windows.get(run);
    if (known === undefined) throw new DatasetError(`line ${number}: no run has this id`);
    known.push({ label, window });
  }
  return { manifest, windows };
}

function parseLine(one: string, number: number): LabelledWindow & { readonly run: string } {
  if (one.length > LINE_CHARACTERS_MAX) throw new DatasetError(`line ${number}: too long`);
  let document: unknown;
  try {
    document = JSON.parse(one);
  } catch (cause) {
    throw new DatasetError(`line ${number}: not JSON`, { cause });
  }
  const read = line.safeParse(document);
  if (!read.success)
    throw new DatasetError(`line ${number}: ${read.error.issues[0]?.path.join('.') ?? ''} is not as it must be`);
  const { run, label, window } = read.data;
  const { syscalls, grams, ...rest } = window;
  return {
    run,
    label,
    window: {
      ...(rest as Omit<Window, 'syscalls' | 'grams'>),
      syscalls: new Map(syscalls),
      ...(grams === undefined ? {} : { grams: new Map(grams) }),
    },
  };
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
