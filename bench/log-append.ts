// Promise: a log takes 20,000 durable entries a second, each once, in bounded memory, with the index within 50 ms and a receipt within 250 ms (p99).
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MIB } from '../src/base/index.ts';
import { makePublicLog, openPublicLog, type PublicLog, type PublicLogOptions } from '../src/ledger/index.ts';
import { type BenchRow, percentile, runAsProvost } from './row.ts';

const RATE_MIN = 20_000;
const INDEX_MS_MAX = 50;
const RECEIPT_MS_MAX = 250;
const RSS_MIB_MAX = 200;
const SIGNED_RATE_MIN = 8000;

const SECONDS = Number(process.env['PROVOST_BENCH_SECONDS'] ?? 60);
const ENTRY_BYTES = 1024;
/** Of the time of the measurement at the promised rate. */
const SATURATED_SHARE = 1 / 3;
/** Short against the bound on the index. */
const SEND_EVERY_MS = 2;
/** Entries on their way at a time, where as many come as the log takes. */
const IN_FLIGHT = 512;
/** Where each takes longer: at the rate that is promised, so many are sent within half of the time to the index. */
const SIGNED_IN_FLIGHT = 200;
/** One entry in so many is asked for its receipt: some each second, as somebody does who waits for one. */
const RECEIPT_EVERY = 2000;
/** One in so many is timed: all of a minute would be memory of the bench's own. */
const TIMED_EVERY = 16;
const RSS_EVERY_MS = 100;
/** Entries that wait at a time, as bytes well below what the log refuses: two seconds of the promised rate. */
const WAITING_MAX = 2 * RATE_MIN;
/** Of the time of the measurement, after which a host that stays behind is sent no more. */
const LATE_MAX = 1.1;
/** Envelopes are signed before the clock runs. */
const ENVELOPES = 40_000;
const PAYLOAD_BYTES = 512;
const PAYLOAD_TYPE = 'application/octet-stream';

/** Latency and memory at the promised rate, then the rates that are the most. */
export async function run(): Promise<readonly BenchRow[]> {
  // On a disk, where the folder for temporary files may be memory.
  const dir = mkdtempSync('/var/tmp/provost-log-append-');
  try {
    const sustained = await withLog(join(dir, 'sustained'), {}, append);
    const rate = await withLog(join(dir, 'saturated'), {}, saturate);
    const signed = await appendSigned(join(dir, 'signed'));
    return [...rowsOf(sustained), rateRow(rate), signedRow(signed)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function withLog<Result>(
  dir: string,
  options: Pick<PublicLogOptions, 'admit'>,
  use: (log: PublicLog) => Promise<Result>,
): Promise<Result> {
  makePublicLog(dir, 'example.com/bench');
  await using log = await openPublicLog({ dir, witnesses: [], quorum: 0, ...options });
  return await use(log);
}

interface Sustained {
  readonly indexMs: readonly number[];
  readonly receiptMs: readonly number[];
  /** Entries a second that it took. */
  readonly rate: number;
  /** Bytes, in the order in which they were read. */
  readonly rss: readonly number[];
}

/**
 * Entries come at the promised rate, whether or not the log keeps up: what waits is timed from when it was due. A host that stays
 * behind is sent no more than the log lets wait, so that what it does take is measured.
 */
async function append(log: PublicLog): Promise<Sustained> {
  const [indexMs, receiptMs, rss]: [number[], number[], number[]] = [[], [], []];
  const watch = setInterval(() => rss.push(process.memoryUsage.rss()), RSS_EVERY_MS);
  const entry = Buffer.alloc(ENTRY_BYTES, 'x');
  const startMs = performance.now();
  let [sent, done] = [0, 0];
  const failures: unknown[] = [];
  const send = async (number: number): Promise<void> => {
    const dueMs = startMs + (number / RATE_MIN) * 1000;
    entry.writeUInt32LE(number);
    const index = await log.add(entry);
    done += 1;
    if (number % TIMED_EVERY === 0) indexMs.push(performance.now() - dueMs);
    if (number % RECEIPT_EVERY !== 0) return;
    await log.receipt(index);
    receiptMs.push(performance.now() - dueMs);
  };
  const sending = new Set<Promise<void>>();
  const keep = (one: Promise<void>): void => {
    const kept = one.catch((error: unknown) => void failures.push(error)).finally(() => sending.delete(kept));
    sending.add(kept);
  };
  for (let seconds = 0; sent < SECONDS * RATE_MIN && seconds < SECONDS * LATE_MAX && failures.length === 0;) {
    seconds = (performance.now() - startMs) / 1000;
    const due = Math.min(SECONDS, seconds) * RATE_MIN;
    for (; sent < due && sent - done < WAITING_MAX; sent += 1) keep(send(sent));
    await new Promise((resolve) => setTimeout(resolve, SEND_EVERY_MS));
  }
  await Promise.all(sending);
  clearInterval(watch);
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  if (log.size !== sent) throw new Error(`${log.size} of ${sent} entries are in the log`);
  return { indexMs, receiptMs, rss, rate: (sent / (performance.now() - startMs)) * 1000 };
}

/** Entries a second, as many as the log takes: callers each wait for the index of an entry before they send the next. */
async function saturate(log: PublicLog): Promise<number> {
  const startMs = performance.now();
  const endMs = startMs + SECONDS * SATURATED_SHARE * 1000;
  let count = 0;
  const work = async (): Promise<void> => {
    const entry = Buffer.alloc(ENTRY_BYTES, 'x');
    while (performance.now() < endMs) {
      entry.writeUInt32LE(count++);
      await log.add(entry);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return (log.size / (performance.now() - startMs)) * 1000;
}

interface Signed {
  readonly rate: number;
  /** From when an envelope was sent to its index. */
  readonly indexMs: readonly number[];
}

/** Entries a second, each a signed envelope that is verified before it gets in. */
async function appendSigned(dir: string): Promise<Signed> {
  // Only now: what the door of another room brings along is no memory of the log's.
  const [{ makeKeyPair, signerOf }, { encodeEnvelope, parseEnvelope, signEnvelope, verifyEnvelopeAsync }] =
    await Promise.all([import('../src/provenance/ed25519.ts'), import('../src/provenance/index.ts')]);
  const { publicKey, privatePem } = makeKeyPair();
  const signer = signerOf(privatePem);
  const envelopes = Array.from({ length: ENVELOPES }, (_, n) =>
    encodeEnvelope(signEnvelope(PAYLOAD_TYPE, Buffer.from(`${n}`.padEnd(PAYLOAD_BYTES)), [signer])),
  );
  const policy = { payloadType: PAYLOAD_TYPE, keys: [publicKey], threshold: 1 };
  const admit = async (entry: Buffer): Promise<void> => {
    await verifyEnvelopeAsync(parseEnvelope(entry), policy);
  };
  const waiting = envelopes.values();
  const indexMs: number[] = [];
  return withLog(dir, { admit }, async (log) => {
    const work = async (): Promise<void> => {
      for (const envelope of waiting) {
        const sentMs = performance.now();
        await log.add(envelope);
        indexMs.push(performance.now() - sentMs);
      }
    };
    const startMs = performance.now();
    await Promise.all(Array.from({ length: SIGNED_IN_FLIGHT }, work));
    if (log.size !== ENVELOPES) throw new Error(`${log.size} of ${ENVELOPES} envelopes are in the log`);
    return { rate: (ENVELOPES / (performance.now() - startMs)) * 1000, indexMs };
  });
}

function rowsOf({ indexMs, receiptMs, rss, rate }: Sustained): BenchRow[] {
  const [index, receipt] = [percentile(indexMs, 0.99), percentile(receiptMs, 0.99)];
  const [middle, end] = [rss.slice(rss.length / 3, (rss.length * 2) / 3), rss.slice((rss.length * 2) / 3)];
  const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;
  const most = Math.max(...rss);
  return [
    {
      what: `an entry to its index, at ${text(RATE_MIN)} a second, p99`,
      value: `${index.toFixed(1)} ms`,
      target: `≤ ${INDEX_MS_MAX} ms`,
      ok: index <= INDEX_MS_MAX,
      detail: `${SECONDS} s of ${text(RATE_MIN)} entries of ${ENTRY_BYTES} bytes a second, of which it took ${text(rate)}; median ${percentile(indexMs, 0.5).toFixed(1)} ms`,
    },
    {
      what: 'an entry to its receipt, at that rate, p99',
      value: `${receipt.toFixed(1)} ms`,
      target: `≤ ${RECEIPT_MS_MAX} ms`,
      ok: receipt <= RECEIPT_MS_MAX,
      detail: `${receiptMs.length} receipts, median ${percentile(receiptMs, 0.5).toFixed(1)} ms`,
    },
    {
      what: 'memory of a log, at that rate',
      value: mib(most),
      target: `≤ ${RSS_MIB_MAX} MiB`,
      ok: most <= RSS_MIB_MAX * MIB,
      detail: `the most, of this process with its load; median ${mib(percentile(middle, 0.5))} in the second third, ${mib(percentile(end, 0.5))} in the last`,
    },
  ];
}

function rateRow(rate: number): BenchRow {
  return {
    what: 'durable entries of a log a second',
    value: text(rate),
    target: `≥ ${text(RATE_MIN)}`,
    ok: rate >= RATE_MIN,
    detail: `the most that it takes: ${Math.round(SECONDS * SATURATED_SHARE)} s of entries of ${ENTRY_BYTES} bytes, each once, ${IN_FLIGHT} on their way`,
  };
}

function signedRow({ rate, indexMs }: Signed): BenchRow {
  const index = percentile(indexMs, 0.99);
  return {
    what: 'durable entries a second, Ed25519 verified first',
    value: text(rate),
    target: `≥ ${text(SIGNED_RATE_MIN)}`,
    ok: rate >= SIGNED_RATE_MIN && index <= INDEX_MS_MAX,
    detail: `${ENVELOPES} envelopes, ${SIGNED_IN_FLIGHT} on their way, signed before; parsed and verified by this process, to the index p99 ${index.toFixed(1)} ms`,
  };
}

function text(count: number): string {
  return Math.round(count).toLocaleString('en');
}

await runAsProvost(import.meta, run);
