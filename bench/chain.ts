// Promise: a chain of six links with receipts is verified offline within 5 ms, warm; and keys that change judge a hundred artifacts anew at once.
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Digest, digestOf } from '../src/artifact/index.ts';
import { hashLeaf, openJournal, parseVerifierKey, publicKeyOf, verifyReceipt } from '../src/ledger/index.ts';
import {
  ChainCache,
  openAttestationStore,
  parseEnvelope,
  type ReceiptedEntry,
  verifyChain,
} from '../src/provenance/index.ts';
import { ChainFixture, COMMIT, ORIGINS, resourceOf, says, sayWholeLife, things } from '../test/chain-fixture.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const CHAIN_MS_MAX = 5;
const ROUNDS = 400;
const WARM_UP_ROUNDS = 200;
const ANEW_MS_MAX = 500;
const ARTIFACTS = 100;
const ANEW_ROUNDS = 20;

export async function run(): Promise<readonly BenchRow[]> {
  const dir = mkdtempSync(join(tmpdir(), 'provost-chain-bench-'));
  using fixture = new ChainFixture();
  try {
    return [await measureOffline(fixture, dir), measureAnew(dir)];
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** All that somebody does who has the attestations, their receipts and the key of the log, and nothing else. Nothing is kept between rounds. */
async function measureOffline(fixture: ChainFixture, dir: string): Promise<BenchRow> {
  const links = Object.values(sayWholeLife(fixture));
  const logDir = join(dir, 'log');
  await using journal = await openJournal(logDir, 'provost/bench');
  for (const leaf of fixture.log) await journal.append(leaf, { flush: true });
  const receipts = await Promise.all(fixture.log.map((_, index) => journal.receipt(index)));
  const policy = { log: [parseVerifierKey(publicKeyOf(logDir) ?? '')], witnesses: [], quorum: 0 };
  const strangers = new Map(
    [...fixture.attestations].map(([subject, all]) => [subject, all.map((one) => ({ ...one, logIndex: null }))]),
  );
  const input = fixture.input(things.image);
  const verifyAll = (): void => {
    const held = new Map<Digest, ReceiptedEntry>();
    for (const [at, { digest }] of links.entries()) {
      const { logIndex } = links[at] ?? {};
      const leaf = fixture.log[logIndex ?? -1] ?? Buffer.alloc(0);
      const { index, checkpoint } = verifyReceipt(receipts[logIndex ?? -1] ?? Buffer.alloc(0), hashLeaf(leaf), policy);
      held.set(digest, { log: checkpoint.origin, index, leaf });
    }
    const { chain, failures, findings } = verifyChain({
      ...input,
      attestationsOf: (subject) => strangers.get(subject) ?? [],
      leafAt: () => null,
      receipts: held,
      cache: new ChainCache(ORIGINS),
    });
    const isWhole = findings.evidence.slice(1).every(({ score }) => score === 1) && failures.length === 0;
    if (!isWhole || chain.isTruncated) throw new Error('the chain does not verify');
  };
  const verifyBare = bareVerifier(
    fixture,
    links.map(({ bytes }) => bytes),
  );
  const [ours, bare]: [number[], number[]] = [[], []];
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
    // By turns, so that both meet the same neighbours.
    const times = [verifyAll, verifyBare].map((work) => {
      const startMs = performance.now();
      work();
      return performance.now() - startMs;
    });
    if (round < WARM_UP_ROUNDS) continue;
    ours.push(times[0] ?? 0);
    bare.push(times[1] ?? 0);
  }
  const [us, peer] = [percentile(ours, 0.5), percentile(bare, 0.5)];
  return {
    what: 'a chain of six links with receipts, verified offline',
    value: `${us.toFixed(2)} ms`,
    target: `≤ ${CHAIN_MS_MAX} ms`,
    ok: us <= CHAIN_MS_MAX,
    detail: `${ROUNDS} rounds, warm; p99 ${percentile(ours, 0.99).toFixed(2)} ms; ${(us / peer).toFixed(1)}× the bare cost of its ${2 * links.length} signature checks (${peer.toFixed(2)} ms)`,
  };
}

/** As many calls of `crypto.verify` as it takes: one for each envelope, one for each receipt's checkpoint. */
function bareVerifier(fixture: ChainFixture, envelopes: readonly Buffer[]): () => void {
  const { spki } = fixture.keyring.findKey('ci').public;
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  const signer = fixture.keyring.openSigner('ci');
  const signed = envelopes.map((bytes) => {
    const { payload } = parseEnvelope(bytes);
    return { payload, signature: signer.sign(payload) };
  });
  return () => {
    for (const { payload, signature } of [...signed, ...signed])
      if (!verify(null, payload, key, signature)) throw new Error('a bare signature does not verify');
  };
}

/** A hundred images, each with a package, a build and a product of its own, from one commit: read from disk and judged after a key was revoked. */
function measureAnew(dir: string): BenchRow {
  using fixture = new ChainFixture();
  const { commit } = things;
  const artifacts = Array.from({ length: ARTIFACTS }, (_, n) => digestOf(`image ${n}`));
  fixture.say('alice', says.source(COMMIT, commit), commit);
  fixture.say('ci', says.test(), commit);
  for (const [n, image] of artifacts.entries()) {
    const product = digestOf(`product ${n}`);
    fixture.say('ci', says.build([resourceOf(commit, COMMIT)]), product);
    fixture.say('ci', says.deps(), product);
    fixture.say('ci', says.package([product]), image);
    fixture.say('alice', says.release(), image);
  }
  const store = openAttestationStore(join(dir, 'attestations'));
  for (const one of [...fixture.attestations.values()].flat()) store.put(one.bytes, one.logIndex ?? 0);
  fixture.revoke('rebuilder');
  const times: number[] = [];
  for (let round = 0; round < ANEW_ROUNDS; round += 1) {
    const base = fixture.input(things.image);
    const startMs = performance.now();
    const read = new Map<Digest, ReturnType<typeof store.list>>();
    const attestationsOf = (subject: Digest): ReturnType<typeof store.list> => {
      const known = read.get(subject) ?? store.list(subject);
      read.set(subject, known);
      return known;
    };
    for (const digest of artifacts) {
      const artifact = { name: 'shop/web', digest };
      // Another time each round, so that no verdict of the last one is left.
      const { verdict } = verifyChain({ ...base, nowMs: base.nowMs + round, artifact, attestationsOf });
      if (verdict !== 'verified') throw new Error(`it is ${verdict}`);
    }
    times.push(performance.now() - startMs);
  }
  const slowest = percentile(times, 0.99);
  return {
    what: `${ARTIFACTS} artifacts of different builds judged anew when keys change`,
    value: `p99 ${slowest.toFixed(0)} ms`,
    target: `≤ ${ANEW_MS_MAX} ms`,
    ok: slowest <= ANEW_MS_MAX,
    detail: `${ANEW_ROUNDS} rounds, the first of them with everything to parse; median ${percentile(times, 0.5).toFixed(0)} ms, with reading every attestation from disk`,
  };
}

await runAlone(import.meta, run);
