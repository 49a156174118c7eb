import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { needs } from '../../test/needs.ts';
import { ENTRY_BYTES_MAX, type Journal, LedgerError, openJournal, openJournalReader, verifyJournal } from './index.ts';

let dir: string;
let file: string;

const indexUrl = fileURLToPath(new URL('./index.ts', import.meta.url));

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-ledger-'));
  file = join(dir, 'journal');
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const entry = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const textsOf = (journal: Pick<Journal, 'read'>): string[] =>
  journal.read(0, 1024).map(({ bytes }) => bytes.toString());

async function appendAll(values: readonly unknown[], into = dir): Promise<number[]> {
  await using journal = await openJournal(into);
  return await Promise.all(values.map((value) => journal.append(entry(value), { flush: true })));
}

it('gives indexes in the order of calls, flushed or not, and reads the exact bytes back', async () => {
  await using journal = await openJournal(dir);
  const indexes = await Promise.all([0, 1, 2, 3].map((n) => journal.append(entry({ n }), { flush: n === 2 })));
  expect(indexes).toEqual([0, 1, 2, 3]);
  expect(textsOf(journal)).toEqual(['{"n":0}', '{"n":1}', '{"n":2}', '{"n":3}']);
  expect(journal.read(1, 2).map(({ index }) => index)).toEqual([1, 2]);
  expect(journal.read(4, 5)).toEqual([]);
});

it('continues the chain after closing and opening', async () => {
  await appendAll(['a', 'b']);
  await appendAll(['c']);
  await using journal = await openJournal(dir);
  expect(textsOf(journal)).toEqual(['"a"', '"b"', '"c"']);
  expect(verifyJournal(dir)).toMatchObject({ size: 3, tornBytes: 0, head: journal.receipt(0).head });
});

it('writes what waits when it is closed', async () => {
  const journal = await openJournal(dir);
  const waiting = journal.append(entry('rides'), { flush: false });
  await journal[Symbol.asyncDispose]();
  await journal[Symbol.asyncDispose]();
  expect(await waiting).toBe(0);
  expect(verifyJournal(dir).size).toBe(1);
  await expect(journal.append(entry('late'), { flush: true })).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  expect(() => journal.read(0, 1)).toThrow(expect.objectContaining({ code: 'LEDGER_STOPPED' }));
});

it('keeps what it was given although the caller changes its buffer', async () => {
  await using journal = await openJournal(dir);
  const buffer = entry('first');
  const appended = journal.append(buffer, { flush: false });
  buffer.fill(0x41);
  await appended;
  expect(textsOf(journal)).toEqual(['"first"']);
});

it('shows an entry only once it is durable', async () => {
  await using journal = await openJournal(dir);
  const appended = journal.append(entry('x'), { flush: true });
  expect(journal.size).toBe(0);
  await appended;
  expect(journal.size).toBe(1);
});

it('takes an entry of the largest size and refuses one byte more', async () => {
  await using journal = await openJournal(dir);
  const largest = Buffer.alloc(ENTRY_BYTES_MAX, 'x');
  expect(await journal.append(largest, { flush: true })).toBe(0);
  const larger = journal.append(Buffer.alloc(ENTRY_BYTES_MAX + 1, 'x'), { flush: true });
  await expect(larger).rejects.toMatchObject({ code: 'LEDGER_ENTRY_TOO_LARGE' });
  expect(verifyJournal(dir).size).toBe(1);
});

it.each([
  ['nothing', Buffer.alloc(0)],
  ['a line break', Buffer.from('{"a":1}\n')],
  ['a carriage return', Buffer.from('{"a":1}\r')],
  ['a zero byte', Buffer.from('a\0b')],
  ['broken UTF-8', Buffer.from([0x22, 0xc3, 0x22])],
])('refuses %s as an entry and goes on', async (_, line) => {
  await using journal = await openJournal(dir);
  await expect(journal.append(line, { flush: true })).rejects.toMatchObject({ code: 'LEDGER_ENTRY_FORM' });
  expect(await journal.append(entry('é'), { flush: true })).toBe(0);
});

it.each([-1, 1, 0.5, Number.NaN])('refuses a receipt for entry %d, which is not there', async (index) => {
  await appendAll(['only']);
  await using journal = await openJournal(dir);
  expect(journal.receipt(0)).toMatchObject({ index: 0, size: 1 });
  expect(() => journal.receipt(index)).toThrow(expect.objectContaining({ code: 'LEDGER_RANGE' }));
});

it('holds many entries that nobody waits for, in order', async () => {
  await using journal = await openJournal(dir);
  const indexes = await Promise.all(Array.from({ length: 3000 }, (_, n) => journal.append(entry(n), { flush: false })));
  expect(indexes.at(-1)).toBe(2999);
  expect(journal.read(2900, 5000)).toHaveLength(100);
  expect(journal.read(0, 5000)).toHaveLength(1024);
  expect(journal.read(2000, 1)[0]?.bytes.toString()).toBe('2000');
  expect(verifyJournal(dir).size).toBe(3000);
});

it('lets one writer in at a time, of this process or another, and readers beside it', async () => {
  await using first = await openJournal(dir);
  await first.append(entry(1), { flush: true });
  await expect(openJournal(dir)).rejects.toMatchObject({ code: 'LEDGER_LOCKED' });
  const tryToOpen = `const { openJournal } = await import(${JSON.stringify(indexUrl)});
    await openJournal(process.argv[1]).catch((error) => console.log(error.code));`;
  const other = spawnSync(process.execPath, ['--input-type=module', '-e', tryToOpen, dir], { encoding: 'utf8' });
  expect(other.stdout).toBe('LEDGER_LOCKED\n');
  using reader = openJournalReader(dir);
  expect(reader.size).toBe(1);
  await first.append(entry(2), { flush: true });
  reader.refresh();
  expect(textsOf(reader)).toEqual(['1', '2']);
  expect(reader.receipt(1)).toEqual(first.receipt(1));
});

it('lets the next writer in after the first one closed', async () => {
  await appendAll(['a']);
  await expect(appendAll(['b'])).resolves.toEqual([1]);
});

it('reads a journal that was never made as empty', () => {
  using reader = openJournalReader(join(dir, 'none'));
  reader.refresh();
  expect([reader.size, reader.damage, reader.read(0, 10)]).toEqual([0, null, []]);
  expect(verifyJournal(join(dir, 'none')).size).toBe(0);
});

it('says why a journal cannot be made, locked or read', async () => {
  writeFileSync(join(dir, 'plain'), '');
  await expect(openJournal(join(dir, 'plain'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  expect(() => openJournalReader(join(dir, 'plain'))).toThrow(expect.objectContaining({ code: 'LEDGER_STOPPED' }));
  mkdirSync(join(dir, 'a', 'lock'), { recursive: true });
  await expect(openJournal(join(dir, 'a'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  mkdirSync(join(dir, 'd'));
  symlinkSync(join(dir, 'nowhere', 'lock'), join(dir, 'd', 'lock'));
  await expect(openJournal(join(dir, 'd'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  mkdirSync(join(dir, 'b', 'journal'), { recursive: true });
  await expect(openJournal(join(dir, 'b'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  mkdirSync(join(dir, 'c', 'journal.new'), { recursive: true });
  await expect(openJournal(join(dir, 'c'))).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
});

it('cuts off a last record that was written up to any byte, and goes on after the one before', async () => {
  await appendAll(['one', 'two']);
  const before = statSync(file).size;
  await appendAll([{ last: 'é'.repeat(8) }]);
  const whole = readFileSync(file);
  for (let end = before + 1; end < whole.length; end += 1) {
    writeFileSync(file, whole.subarray(0, end));
    expect(verifyJournal(dir)).toMatchObject({ size: 2, tornBytes: end - before });
    expect(await appendAll(['again'])).toEqual([2]);
    expect(verifyJournal(dir)).toMatchObject({ size: 3, tornBytes: 0 });
  }
});

it('finds every flipped bit, and reads up to it', async () => {
  await appendAll([{ a: 1 }, { b: 2 }, { c: 3 }]);
  const whole = readFileSync(file);
  let flips = 0;
  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const bytes = Buffer.from(whole);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(file, bytes);
    expect(() => verifyJournal(dir), `bit ${bit}`).toThrow(
      expect.objectContaining({ code: 'LEDGER_CORRUPT', exit: 4 }),
    );
    flips += 1;
  }
  expect(flips).toBeGreaterThan(1500);
});

it('does not write to a damaged journal, but reads what comes before the damage', async () => {
  await appendAll(['good', 'bad', 'after']);
  writeFileSync(file, readFileSync(file, 'utf8').replace('"bad"', '"BAD"'));
  const damaged = readFileSync(file);
  await expect(openJournal(dir)).rejects.toMatchObject({ code: 'LEDGER_CORRUPT', details: { index: 1 } });
  using reader = openJournalReader(dir);
  reader.refresh();
  expect(textsOf(reader)).toEqual(['"good"']);
  expect(reader.damage).toMatchObject({ code: 'LEDGER_CORRUPT' });
  expect(readFileSync(file)).toEqual(damaged);
});

it('finds a change that was made while it is open', async () => {
  await using journal = await openJournal(dir);
  await journal.append(entry('abc'), { flush: true });
  writeFileSync(file, readFileSync(file, 'utf8').replace('"abc"', '"abd"'));
  expect(() => journal.read(0, 1)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
});

it('takes a tail that is longer than any record for damage, with a line break or without', async () => {
  await appendAll(['a']);
  appendFileSync(file, Buffer.alloc(9000, 'x'));
  expect(() => verifyJournal(dir)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  appendFileSync(file, '\n');
  expect(() => verifyJournal(dir)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
});

it('finds a cut or rewritten end when a receipt was kept', async () => {
  await appendAll(['a', 'b']);
  const { size, head } = verifyJournal(dir);
  const receipt = { index: 1, size, head };
  const bytesThen = statSync(file).size;
  await appendAll(['c']);
  expect(verifyJournal(dir, receipt).size).toBe(3);
  truncateSync(file, bytesThen - 5);
  await appendAll(['x']);
  expect(verifyJournal(dir).size).toBe(2);
  expect(() => verifyJournal(dir, receipt)).toThrow(expect.objectContaining({ code: 'LEDGER_CORRUPT' }));
  expect(() => verifyJournal(dir, { ...receipt, size: 9 })).toThrow(LedgerError);
  expect(() => verifyJournal(join(dir, 'gone'), receipt)).toThrow(LedgerError);
});

const appendForEver = `
  const { openJournal } = await import(${JSON.stringify(indexUrl)});
  const { writeSync } = await import('node:fs');
  const journal = await openJournal(process.argv[1]);
  const tell = (index) => writeSync(1, index + '\\n');
  for (let n = journal.size; ; n += 4) {
    const four = [0, 1, 2, 3].map((i) => journal.append(Buffer.from('{"n":' + (n + i) + '}'), { flush: i === 3 }).then(tell));
    await Promise.all(four);
  }`;

it('finds every acknowledged entry after kill -9, again and again', async () => {
  let acknowledged = -1;
  for (const killAfter of [1, 7, 40, 173]) {
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
    await using journal = await openJournal(dir);
    expect(journal.size).toBeGreaterThan(acknowledged);
    const last = journal.read(acknowledged, 1)[0]?.bytes.toString();
    expect(last).toBe(JSON.stringify({ n: acknowledged }));
    expect(verifyJournal(dir).size).toBe(journal.size);
  }
  expect(acknowledged).toBeGreaterThan(150);
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
    run('mount', '-t', 'tmpfs', '-o', 'size=128k', 'provost-test', disk);
    try {
      const home = join(disk, 'journal');
      const journal = await openJournal(home);
      const { acknowledged, error } = await fill(journal);
      expect(error).toMatchObject({ code: 'LEDGER_NO_SPACE', exit: 6 });
      expect(acknowledged).toBeGreaterThan(10);
      expect(journal.size).toBe(acknowledged);
      await expect(journal.append(entry(1), { flush: true })).rejects.toMatchObject({
        code: 'LEDGER_STOPPED',
        exit: 6,
      });
      expect(journal.read(acknowledged - 1, 1)).toHaveLength(1);
      expect(verifyJournal(home)).toMatchObject({ size: acknowledged, tornBytes: 0 });
      await journal[Symbol.asyncDispose]();
      writeFileSync(join(disk, 'filler'), '');
      spawnSync('sh', ['-c', `cat /dev/zero > '${disk}/filler'`], { stdio: 'ignore' });
      await expect(openJournal(join(disk, 'second'))).rejects.toMatchObject({ code: 'LEDGER_NO_SPACE' });
      run('mount', '-o', 'remount,size=1m', disk);
      expect(await appendAll(['space again'], home)).toEqual([acknowledged]);
    } finally {
      run('umount', disk);
    }
  },
);

it('stops when the system refuses a write for another reason', async () => {
  await using journal = await openJournal(dir);
  await journal.append(entry('before'), { flush: true });
  const limit = (bytes: string): void => run('prlimit', '--pid', String(process.pid), `--fsize=${bytes}:`);
  const size = statSync(file).size;
  limit(String(size + 10));
  try {
    await expect(journal.append(entry('too far'), { flush: true })).rejects.toMatchObject({ code: 'LEDGER_STOPPED' });
  } finally {
    limit('unlimited');
  }
  expect(statSync(file).size).toBe(size);
  expect(existsSync(join(dir, 'lock'))).toBe(true);
});

it('acknowledges a flushed entry within 5 ms, at the median of a busy host', async () => {
  await using journal = await openJournal(dir);
  const tookMs: number[] = [];
  for (let n = 0; n < 400; n += 1) {
    const startMs = performance.now();
    await journal.append(Buffer.alloc(600, 'x'), { flush: true });
    tookMs.push(performance.now() - startMs);
  }
  tookMs.sort((a, b) => a - b);
  expect(tookMs[200]).toBeLessThanOrEqual(5);
});
