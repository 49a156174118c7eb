// Promise: a served log of envelopes takes them, each verified and durable with its entry, at near the rate of a log that only verifies a signature of each entry.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../src/artifact/index.ts';
import { makePublicLog, serveLog } from '../src/engine/index.ts';
import { openPublicLog } from '../src/ledger/index.ts';
import {
  attest,
  type Keyring,
  openKeyring,
  parseEnvelope,
  RELEASE_TYPE,
  STATEMENT_MEDIA_TYPE,
  verifyEnvelopeAsync,
} from '../src/provenance/index.ts';
import { type BenchRow, percentile, runAsProvost } from './row.ts';

const RATE_MIN = 8000;
const INDEX_MS_MAX = 50;
/** Both in turns, on one disk, so that both meet the same neighbours. */
const ROUNDS = 4;
const ENVELOPES = 10_000;
/** As in bench/log-append.ts. */
const IN_FLIGHT = 200;
const PAYLOAD_BYTES = 256;

export async function run(): Promise<readonly BenchRow[]> {
  // On a disk, where the folder for temporary files may be memory.
  const dir = mkdtempSync('/var/tmp/provost-envelopes-');
  try {
    const keyring = trustedKeyring(join(dir, 'home/keys'));
    const [envelopes, entries]: [Measured[], Measured[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const made = makeEnvelopes(keyring, round);
      envelopes.push(await withEnvelopeLog(join(dir, `envelopes-${round}`), join(dir, 'home'), made));
      entries.push(await withRawLog(join(dir, `raw-${round}`), keyring, made));
    }
    return [rowOf(envelopes, entries)];
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function trustedKeyring(dir: string): Keyring {
  const keyring = openKeyring(dir, 'home:bench');
  const nowMs = Date.now();
  keyring.commit(keyring.generateKey({ name: 'alice', nowMs }), 0);
  const trust = { publicPem: null, role: 'publisher', scope: '*', predicateTypes: [], sinceIndex: null } as const;
  keyring.commit(keyring.trustKey({ key: 'alice', ...trust, expiresMs: null, nowMs }), 1);
  return keyring;
}

/** They are signed before the clock runs. */
function makeEnvelopes(keyring: Keyring, round: number): Buffer[] {
  const signer = keyring.openSigner('alice');
  return Array.from({ length: ENVELOPES }, (_, n) => {
    const name = `app-${round}-${n}`;
    const predicate = { notes: 'x'.repeat(PAYLOAD_BYTES) };
    const subjects = [{ name, digest: digestOf(name) }];
    return attest({ subjects, predicateType: RELEASE_TYPE, predicate, signer, issuer: 'home:bench' }).bytes;
  });
}

async function withEnvelopeLog(dir: string, homeDir: string, envelopes: readonly Buffer[]): Promise<Measured> {
  makePublicLog(dir, 'example.com/bench', 'provost');
  const served = await serveLog({ dir, witnesses: [], quorum: 0, homeDir });
  await using _log = served.log;
  if (served.format !== 'provost') throw new Error(`the log has the format ${served.format}`);
  return await measure(envelopes, served.log.admit, () => served.log.size);
}

async function withRawLog(dir: string, keyring: Keyring, envelopes: readonly Buffer[]): Promise<Measured> {
  makePublicLog(dir, 'example.com/bench', 'raw');
  const keys = keyring.state().keys.map((key) => key.public);
  const admit = async (entry: Buffer): Promise<void> => {
    await verifyEnvelopeAsync(parseEnvelope(entry), { payloadType: STATEMENT_MEDIA_TYPE, keys, threshold: 1 });
  };
  await using log = await openPublicLog({ dir, witnesses: [], quorum: 0, admit });
  return await measure(
    envelopes,
    (envelope) => log.add(envelope),
    () => log.size,
  );
}

interface Measured {
  /** A second. */
  readonly rate: number;
  /** Of all threads, for each: on two cores no more than twice its inverse can be had. */
  readonly cpuMicros: number;
  /** From when one was sent to its index. */
  readonly indexMs: readonly number[];
}

async function measure(
  envelopes: readonly Buffer[],
  add: (envelope: Buffer) => Promise<unknown>,
  size: () => number,
): Promise<Measured> {
  const waiting = envelopes.values();
  const indexMs: number[] = [];
  const work = async (): Promise<void> => {
    for (const envelope of waiting) {
      const sentMs = performance.now();
      await add(envelope);
      indexMs.push(performance.now() - sentMs);
    }
  };
  const [startMs, before] = [performance.now(), process.cpuUsage()];
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  const rate = (envelopes.length / (performance.now() - startMs)) * 1000;
  const { user, system } = process.cpuUsage(before);
  const cpuMicros = (user + system) / envelopes.length;
  if (size() !== envelopes.length) throw new Error(`${size()} of ${envelopes.length} envelopes are in the log`);
  return { rate, cpuMicros, indexMs };
}

function rowOf(envelopes: readonly Measured[], entries: readonly Measured[]): BenchRow {
  const middle = (all: readonly Measured[], of: 'rate' | 'cpuMicros'): number =>
    percentile(
      all.map((one) => one[of]),
      0.5,
    );
  const [rate, bare] = [middle(envelopes, 'rate'), middle(entries, 'rate')];
  const [cpu, bareCpu] = [middle(envelopes, 'cpuMicros'), middle(entries, 'cpuMicros')].map(Math.round);
  const latencies = envelopes.flatMap(({ indexMs }) => indexMs);
  const index = percentile(latencies, 0.99);
  const text = (count: number): string => Math.round(count).toLocaleString('en');
  return {
    what: 'envelopes that a served log takes a second, each verified and kept',
    value: text(rate),
    target: `≥ ${text(RATE_MIN)}`,
    ok: rate >= RATE_MIN && index <= INDEX_MS_MAX,
    detail: `${ROUNDS} × ${text(ENVELOPES)}, ${IN_FLIGHT} on their way, to the index p99 ${index.toFixed(1)} ms; ${(rate / bare).toFixed(2)}× a log of bytes that verifies a signature of each (${text(bare)}); ${cpu} µs of CPU each, against ${bareCpu}`,
  };
}

await runAsProvost(import.meta, run);
