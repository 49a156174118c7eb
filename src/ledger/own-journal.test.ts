import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { needs } from '../../test/needs.ts';
import { auditLocalLog } from './audit.ts';
import { ENTRY_BYTES_MAX, type Journal, openJournal, openJournalReader } from './index.ts';
import { openHostDisk } from './log-disk.ts';
import { logFiles } from './log-files.ts';
import { parseVerifierKey } from './note-key.ts';
import { verifyReceipt } from './receipt.ts';
import { hashLeaf } from './tree-hash.ts';

let dir: string;

const indexUrl = fileURLToPath(new URL('./index.ts', import.meta.url));
const ORIGIN = 'journal.example';

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-ledger-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const entry = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const textsOf = (journal: Pick<Journal, 'read'>): string[] =>
  journal.read(0, 1024).map(({ bytes }) => bytes.toString());
const openHere = (into = dir): ReturnType<typeof openJournal> => openJournal(into, ORIGIN);

async function appendAll(values: readonly unknown[], into = dir): Promise<number[]> {
  await using journal = await openHere(into);
  return await Promise.all(values.map((value) => journal.append(entry(value), { flush: true })));
}

async function readAll(from = dir): Promise<string[]> {
  const texts: string[] = [];
  for await (const { index, bytes } of openJournalReader(from).entries()) {
    expect(index).toBe(texts.length);
    texts.push(bytes.toString());
  }
  return texts;
}

async function audit(): Promise<number> {
  const key = parseVerifierKey(readFileSync(join(dir, 'key.pub'), 'utf8'));
  return (await auditLocalLog({ disk: openHostDisk(), files: logFiles(dir), key }, { progress: () => undefined })).size;
}

it('gives indexes in the order of calls, flushed or not, and reads the exact bytes back', async () => {
  await using journal = await openHere();
  const indexes = await Promise.all([0, 1, 2, 3].map((n) => journal.append(entry({ n }), { flush: n === 2 })));
  expect(indexes).toEqual([0, 1, 2, 3]);
  expect(textsOf(journal)).toEqual(['{"n":0}', '{"n":1}', '{"n":2}', '{"n":3}']);
  expect(journal.read(1, 2).map(({ index }) => index)).toEqual([1, 2]);
  expect(journal.read(4, 5)).toEqual([]);
});

it('goes on after closing and opening, and publishes nothing twice', async () => {
  await appendAll(['a', 'b']);
  const before = readFileSync(join(dir, 'served/checkpoint'));
  await appendAll([]);
  expect(readFileSync(join(dir, 'served/checkpoint'))).toEqual(before);
  await appendAll(['c']);
  await using journal = await openHere();
  expect(textsOf(journal)).toEqual(['"a"', '"b"', '"c"']);
  expect(await readAll()).toEqual(['"a"', '"b"', '"c"']);
});

it('gives receipts that anyone can verify with its public key alone', async () => {
  await using journal = await openHere();
  await Promise.all(Array.from({ length: 300 }, (_, n) => journal.append(entry(n), { flush: true })));
  const policy = { log: [parseVerifierKey(readFileSync(join(dir, 'key.pub'), 'utf8'))], witnesses: [], quorum: 0 };
  for (const index of [0, 255, 256, 299]) {
    const receipt = await journal.receipt(index);
    expect(receipt.toString()).toMatch(/^c2sp\.org\/tlog-proof@v1\nindex \d+\n/);
    expect(verifyReceipt(receipt, hashLeaf(entry(index)), policy)).toMatchObject({
      index,
      checkpoint: { size: 300, origin: ORIGIN },
    });
    expect(() => verifyReceipt(receipt, hashLeaf(entry(index + 1)), policy)).toThrow(
      expect.objectContaining({ code: 'LEDGER_PROOF' }),
    );
  }
});

it('gives a receipt for what was appended just now', async () => {
  await using journal = await openHere();
  await journal.append(entry('just now'), { flush: true });
  expect((await journal.receipt(0)).length).toBeGreaterThan(100);
});

it('writes what waits when it is closed', async () => {
  const journal = await openHere();
  const waiting = journal.append(entry('rides'), { flush: false });
  await journal[Symbol.asyncDispose]();
  await journal[Symbol.asyncDispose]();
  expect(await waiting).toBe(0);
  expect(await readAll()).toEqual(['"rides"']);
  await expect(journal.append(entry('late'), { flush: true })).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  expect(() => journal.read(0, 1)).toThrow(expect.objectContaining({ code: 'LEDGER_STOPPED' }));
  await expect(journal.receipt(0)).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  await expect(journal.publish()).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
});

it('keeps what it was given although the caller changes its buffer', async () => {
  await using journal = await openHere();
  const buffer = entry('first');
  const appended = journal.append(buffer, { flush: false });
  buffer.fill(0x41);
  await appended;
  expect(textsOf(journal)).toEqual(['"first"']);
});

it('shows an entry only once it is durable', async () => {
  await using journal = await openHere();
  const appended = journal.append(entry('x'), { flush: true });
  expect(journal.size).toBe(0);
  await appended;
  expect([journal.size, journal.publishedSize]).toEqual([1, 0]);
  await journal.publish();
  expect(journal.publishedSize).toBe(1);
});

it('takes an entry of the largest size and refuses one byte more', async () => {
  await using journal = await openHere();
  const largest = Buffer.alloc(ENTRY_BYTES_MAX, 'x');
  expect(await journal.append(largest, { flush: true })).toBe(0);
  const larger = journal.append(Buffer.alloc(ENTRY_BYTES_MAX + 1, 'x'), { flush: true });
  await expect(larger).rejects.toMatchObject({ code: 'LEDGER_ENTRY_TOO_LARGE' });
  expect(journal.size).toBe(1);
});

it.each([
  ['nothing', Buffer.alloc(0)],
  ['a line break', Buffer.from('{"a":1}\n')],
  ['a carriage return', Buffer.from('{"a":1}\r')],
  ['a zero byte', Buffer.from('a\0b')],
  ['broken UTF-8', Buffer.from([0x22, 0xc3, 0x22])],
])('refuses %s as an entry and goes on', async (_, line) => {
  await using journal = await openHere();
  await expect(journal.append(line, { flush: true })).rejects.toMatchObject({ code: 'LEDGER_ENTRY_FORM' });
  expect(await journal.append(entry('é'), { flush: true })).toBe(0);
});

it.each([-1, 1, 0.5, Number.NaN])('refuses a receipt for entry %d, which is not there', async (index) => {
  await appendAll(['only']);
  await using journal = await openHere();
  await expect(journal.receipt(index)).rejects.toMatchObject({ code: 'LEDGER_RANGE' });
});

it('holds many entries that nobody waits for, in order', async () => {
  await using journal = await openHere();
  const indexes = await Promise.all(Array.from({ length: 3000 }, (_, n) => journal.append(entry(n), { flush: false })));
  expect(indexes.at(-1)).toBe(2999);
  expect(journal.read(2900, 5000)).toHaveLength(100);
  expect(journal.read(0, 5000)).toHaveLength(1024);
  expect(journal.read(2000, 1)[0]?.bytes.toString()).toBe('2000');
  expect(await readAll()).toHaveLength(3000);
});

it('lets one writer in at a time, of this process or another, and readers beside it', async () => {
  await using first = await openHere();
  await first.append(entry(1), { flush: true });
  await expect(openHere()).rejects.toMatchObject({ code: 'LEDGER_LOCKED' });
  const tryToOpen = `const { openJournal } = await import(${JSON.stringify(indexUrl)});
    await openJournal(process.argv[1], 'x').catch((error) => console.log(error.code));`;
  const other = spawnSync(process.execPath, ['--input-type=module', '-e', tryToOpen, dir], { encoding: 'utf8' });
  expect(other.stdout).toBe('LEDGER_LOCKED\n');
  expect(await readAll()).toEqual(['1']);
  await first.append(entry(2), { flush: true });
  expect(await readAll()).toEqual(['1', '2']);
});

it('reads a journal that was never made as empty', async () => {
  const reader = openJournalReader(join(dir, 'none'));
  expect([reader.size, reader.checkpoint]).toEqual([0, null]);
  expect(await readAll(join(dir, 'none'))).toEqual([]);
});

it('says why a journal cannot be made, locked or read', async () => {
  writeFileSync(join(dir, 'plain'), '');
  await expect(openHere(join(dir, 'plain'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  expect(() => openJournalReader(join(dir, 'plain'))).toThrow(expect.objectContaining({ code: 'LEDGER_STOPPED' }));
  mkdirSync(join(dir, 'a', 'lock'), { recursive: true });
  await expect(openHere(join(dir, 'a'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  mkdirSync(join(dir, 'd'));
  symlinkSync(join(dir, 'nowhere', 'lock'), join(dir, 'd', 'lock'));
  await expect(openHere(join(dir, 'd'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  mkdirSync(join(dir, 'b', 'key'), { recursive: true });
  await expect(openHere(join(dir, 'b'))).rejects.toMatchObject({ code: 'LEDGER_KEY' });
  mkdirSync(join(dir, 'c', 'key.new'), { recursive: true });
  await expect(openHere(join(dir, 'c'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
});

it('does not go on under another key than its readers know', async () => {
  await appendAll(['a']);
  await rm(join(dir, 'key'));
  await expect(openHere()).rejects.toMatchObject({ code: 'LEDGER_KEY', exit: 6 });
  expect(await readAll()).toEqual(['"a"']);
});

/** Files of a log whose every byte counts. */
function filesOf(): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile() && !path.endsWith('/lock'));
}

it('notices every byte of a small log that is changed, in whatever file', async () => {
  await appendAll([{ a: 1 }, { b: 2 }]);
  await using journal = await openHere();
  await journal.append(entry({ c: 3 }), { flush: true });
  await journal.publish();
  await journal[Symbol.asyncDispose]();
  expect(await audit()).toBe(3);
  let flips = 0;
  for (const path of filesOf()) {
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += 1) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (at & 7));
      writeFileSync(path, bytes);
      const noticed = path.endsWith('/key') ? openHere().then((log) => log[Symbol.asyncDispose]()) : audit();
      const error = await noticed.then(() => null).catch((thrown: unknown) => thrown);
      expect(error, `${path} byte ${at}`).toMatchObject({ code: expect.stringMatching(/^LEDGER_/) });
      flips += 1;
    }
    writeFileSync(path, whole);
  }
  expect(await audit()).toBe(3);
  expect(flips).toBeGreaterThan(500);
});

it('does not write to a log whose checkpoint was rolled back, forked or taken away', async () => {
  await appendAll(['a', 'b']);
  const [checkpoint, older] = [join(dir, 'served/checkpoint'), readFileSync(join(dir, 'served/checkpoint'))];
  await appendAll(['c']);
  const newest = readFileSync(checkpoint);
  writeFileSync(checkpoint, older);
  await expect(openHere()).rejects.toMatchObject({ code: 'LEDGER_CORRUPT', exit: 4 });
  await rm(checkpoint);
  await expect(openHere()).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  writeFileSync(checkpoint, newest);
  expect(await appendAll(['d'])).toEqual([3]);
});

it('stops when acknowledged entries are missing, and stays readable', async () => {
  await appendAll(['a']);
  await using journal = await openHere();
  await journal.append(entry('b'), { flush: true });
  await journal.publish();
  const copy = join(dir, '..', `${basename(dir)}-copy`);
  cpSync(dir, copy, { recursive: true });
  for (const name of readdirSync(join(copy, 'batches'))) writeFileSync(join(copy, 'batches', name), '');
  await expect(openHere(copy)).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  expect(await readAll(copy)).toEqual(['"a"', '"b"']);
  await rm(copy, { recursive: true });
});

const appendForEver = `
  const { openJournal } = await import(${JSON.stringify(indexUrl)});
  const { writeSync } = await import('node:fs');
  const journal = await openJournal(process.argv[1], ${JSON.stringify(ORIGIN)});
  const tell = (index) => writeSync(1, index + '\\n');
  for (let n = journal.size; ; n += 4) {
    const four = [0, 1, 2, 3].map((i) => journal.append(Buffer.from('{"n":' + (n + i) + '}'), { flush: i === 3 }).then(tell));
    await Promise.all(four);
  }`;

it('finds every acknowledged entry after kill -9, again and again', async () => {
  let acknowledged = -1;
  for (const killAfter of [1, 7, 40, 173, 600]) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', appendForEver, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = new Promise((resolve) => child.once('close', resolve));
    let lines = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Math.max(acknowledged, Number(line));
      lines += 1;
      if (lines === killAfter) child.kill('SIGKILL');
    }
    await closed;
    const left = await readAll();
    expect(left.length).toBeGreaterThan(acknowledged);
    expect(left.every((text, n) => text === JSON.stringify({ n }))).toBe(true);
    await using journal = await openHere();
    expect(journal.size).toBe(left.length);
  }
  expect(acknowledged).toBeGreaterThan(600);
  expect(await audit()).toBeGreaterThan(acknowledged);
});

function run(...argv: readonly string[]): void {
  const [command = '', ...args] = argv;
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
}

/** Appends until an append fails, and gives the acknowledged count and the error. */
async function fill(journal: Journal): Promise<{ acknowledged: number; error: unknown }> {
  for (let acknowledged = journal.size; ;) {
    const group = Array.from({ length: 5 }, () => journal.append(Buffer.alloc(3000, 'f'), { flush: true }));
    const settled = await Promise.allSettled(group);
    acknowledged += settled.filter(({ status }) => status === 'fulfilled').length;
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed !== undefined) return { acknowledged, error: failed.reason };
  }
}

it.skipIf(needs('root'))(
  'as root: stops cleanly on a full disk, half-acknowledges nothing, and goes on when there is space again',
  async () => {
    const disk = join(dir, 'disk');
    mkdirSync(disk);
    run('mount', '-t', 'tmpfs', '-o', 'size=512k', 'provost-test', disk);
    try {
      const home = join(disk, 'journal');
      const journal = await openHere(home);
      const { acknowledged, error } = await fill(journal);
      expect(error).toMatchObject({ code: expect.stringMatching(/^LEDGER_(NO_SPACE|STOPPED)$/), exit: 6 });
      expect(acknowledged).toBeGreaterThan(10);
      expect(journal.size).toBe(acknowledged);
      await expect(journal.append(entry(1), { flush: true })).rejects.toMatchObject({
        code: 'LEDGER_STOPPED',
        exit: 6,
      });
      expect(journal.read(acknowledged - 1, 1)).toHaveLength(1);
      await journal[Symbol.asyncDispose]();
      expect(await readAll(home)).toHaveLength(acknowledged);
      writeFileSync(join(disk, 'filler'), '');
      spawnSync('sh', ['-c', `cat /dev/zero > '${disk}/filler'`], { stdio: 'ignore' });
      await expect(openHere(join(disk, 'second'))).rejects.toMatchObject({ code: 'LEDGER_NO_SPACE' });
      run('mount', '-o', 'remount,size=4m', disk);
      expect(await appendAll(['space again'], home)).toEqual([acknowledged]);
    } finally {
      run('umount', disk);
    }
  },
);

it('stops when the system refuses a write for another reason', async () => {
  await using journal = await openHere();
  await journal.append(entry('before'), { flush: true });
  const segment = join(dir, 'batches', readdirSync(join(dir, 'batches'))[0] ?? '');
  const limit = (bytes: string): void => run('prlimit', '--pid', String(process.pid), `--fsize=${bytes}:`);
  const size = statSync(segment).size;
  limit(String(size + 10));
  try {
    await expect(journal.append(entry('too far'), { flush: true })).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  } finally {
    limit('unlimited');
  }
  expect(statSync(segment).size).toBe(size);
  expect(existsSync(join(dir, 'lock'))).toBe(true);
});

it('acknowledges a flushed entry within 5 ms, at the median of a busy host', async () => {
  await using journal = await openHere();
  const tookMs: number[] = [];
  for (let n = 0; n < 400; n += 1) {
    const startMs = performance.now();
    await journal.append(Buffer.alloc(600, 'x'), { flush: true });
    tookMs.push(performance.now() - startMs);
  }
  tookMs.sort((a, b) => a - b);
  expect(tookMs[200]).toBeLessThanOrEqual(5);
});
