// Promise: a log takes 20,000 durable entries a second, each once, in bounded memory, with the index within 50 ms and a receipt within 250 ms (p99).
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/index.ts';
import { makePublicLog, openPublicLog, type PublicLog } from '../src/ledger/index.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const RATE_MIN = 20_000;
const INDEX_MS_MAX = 50;
const RECEIPT_MS_MAX = 250;
const RSS_MIB_MAX = 200;
const SIGNED_RATE_MIN = 8000;

const SECONDS = Number(process.env['PROVOST_BENCH_SECONDS'] ?? 60);
const ENTRY_BYTES = 1024;
/** Entries on their way at a time. */
const IN_FLIGHT = 512;
/** One entry in so many is asked for its receipt: some each second, as somebody does who waits for one. */
const RECEIPT_EVERY = 2000;
/** One in so many is timed: all of a minute would be memory of the bench's own. */
const TIMED_EVERY = 16;
const RSS_EVERY_MS = 100;
/** Envelopes are signed before the clock runs. */
const ENVELOPES = 20_000;
const PAYLOAD_BYTES = 512;
const PAYLOAD_TYPE = 'application/octet-stream';

/** Many callers at once, each of which waits for the index of its entry before it sends the next. */
export async function run(): Promise<readonly BenchRow[]> {
  // On a disk, where the folder for temporary files may be memory.
  const dir = mkdtempSync('/var/tmp/provost-log-append-');
  try {
    const sustained = await withLog(join(dir, 'sustained'), append);
    const signedRate = await withLog(join(dir, 'signed'), appendSigned);
    return [...rowsOf(sustained), signedRow(signedRate)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function withLog<Result>(dir: string, use: (log: PublicLog) => Promise<Result>): Promise<Result> {
  makePublicLog(dir, 'example.com/bench');
  await using log = await openPublicLog({ dir, witnesses: [], quorum: 0 });
  return await use(log);
}

interface Sustained {
  readonly rate: number;
  readonly indexMs: readonly number[];
  readonly receiptMs: readonly number[];
  /** Bytes, in the order in which they were read. */
  readonly rss: readonly number[];
}

async function append(log: PublicLog): Promise<Sustained> {
  const [indexMs, receiptMs, rss]: [number[], number[], number[]] = [[], [], []];
  const watch = setInterval(() => rss.push(process.memoryUsage.rss()), RSS_EVERY_MS);
  const startMs = performance.now();
  const endMs = startMs + SECONDS * 1000;
  let count = 0;
  const receiptOf = async (index: number, sinceMs: number): Promise<void> => {
    await log.receipt(index);
    receiptMs.push(performance.now() - sinceMs);
  };
  const work = async (): Promise<void> => {
    const entry = Buffer.alloc(ENTRY_BYTES, 'x');
    for (let sinceMs = startMs; sinceMs < endMs; sinceMs = performance.now()) {
      const number = count++;
      entry.writeUInt32LE(number);
      const index = await log.add(entry);
      if (number % TIMED_EVERY === 0) indexMs.push(performance.now() - sinceMs);
      if (number % RECEIPT_EVERY === 0) await receiptOf(index, sinceMs);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  clearInterval(watch);
  return { rate: (log.size / (performance.now() - startMs)) * 1000, indexMs, receiptMs, rss };
}

/** Entries a second, each a signed envelope that is verified before it gets in. */
async function appendSigned(log: PublicLog): Promise<number> {
  // Only now: what the door of another room brings along is no memory of the log's.
  const [{ makeKeyPair, signerOf }, { encodeEnvelope, parseEnvelope, signEnvelope, verifyEnvelope }] =
    await Promise.all([import('../src/provenance/ed25519.ts'), import('../src/provenance/index.ts')]);
  const { publicKey, privatePem } = makeKeyPair();
  const signer = signerOf(privatePem);
  const envelopes = Array.from({ length: ENVELOPES }, (_, n) =>
    encodeEnvelope(signEnvelope(PAYLOAD_TYPE, Buffer.from(`${n}`.padEnd(PAYLOAD_BYTES)), [signer])),
  );
  const policy = { payloadType: PAYLOAD_TYPE, keys: [publicKey], threshold: 1 };
  const waiting = envelopes.values();
  const work = async (): Promise<void> => {
    for (const envelope of waiting) {
      verifyEnvelope(parseEnvelope(envelope), policy);
      await log.add(envelope);
    }
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  if (log.size !== ENVELOPES) throw new Error(`${log.size} of ${ENVELOPES} envelopes are in the log`);
  return (ENVELOPES / (performance.now() - startMs)) * 1000;
}

function rowsOf({ rate, indexMs, receiptMs, rss }: Sustained): BenchRow[] {
  const [index, receipt] = [percentile(indexMs, 0.99), percentile(receiptMs, 0.99)];
  const [middle, end] = [rss.slice(rss.length / 3, (rss.length * 2) / 3), rss.slice((rss.length * 2) / 3)];
  const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;
  const most = Math.max(...rss);
  const how = `${SECONDS} s of entries of ${ENTRY_BYTES} bytes, each once, ${IN_FLIGHT} on their way`;
  return [
    {
      what: 'durable entries of a log a second',
      value: text(rate),
      target: `≥ ${text(RATE_MIN)}`,
      ok: rate >= RATE_MIN,
      detail: how,
    },
    {
      what: 'an entry to its index, p99',
      value: `${index.toFixed(1)} ms`,
      target: `≤ ${INDEX_MS_MAX} ms`,
      ok: index <= INDEX_MS_MAX,
      detail: `at that rate; median ${percentile(indexMs, 0.5).toFixed(1)} ms`,
    },
    {
      what: 'an entry to its receipt, p99',
      value: `${receipt.toFixed(1)} ms`,
      target: `≤ ${RECEIPT_MS_MAX} ms`,
      ok: receipt <= RECEIPT_MS_MAX,
      detail: `at that rate; ${receiptMs.length} receipts, median ${percentile(receiptMs, 0.5).toFixed(1)} ms`,
    },
    {
      what: 'memory of a log under load',
      value: mib(most),
      target: `≤ ${RSS_MIB_MAX} MiB`,
      ok: most <= RSS_MIB_MAX * MIB,
      detail: `the most, of this process with its load; median ${mib(percentile(middle, 0.5))} in the second third, ${mib(percentile(end, 0.5))} in the last`,
    },
  ];
}

function signedRow(rate: number): BenchRow {
  return {
    what: 'durable entries a second, Ed25519 verified first',
    value: text(rate),
    target: `≥ ${text(SIGNED_RATE_MIN)}`,
    ok: rate >= SIGNED_RATE_MIN,
    detail: `${ENVELOPES} envelopes, ${IN_FLIGHT} on their way; parsed and verified in this process, signed before`,
  };
}

function text(count: number): string {
  return Math.round(count).toLocaleString('en');
}

await runAlone(import.meta, run);
