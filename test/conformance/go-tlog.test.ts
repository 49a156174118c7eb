// The log against others' code: trees, proofs and notes as Go's checksum database makes and checks them, and Tessera's fsck over what is served.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  hashLeaf,
  makePublicLog,
  makeSignerKey,
  openPublicLog,
  openTileTree,
  parseVerifierKey,
  type PublicLog,
  verifyCheckpoint,
} from '../../src/ledger/index.ts';
import { checkpointText } from '../../src/ledger/checkpoint.ts';
import { parseSignerKey } from '../../src/ledger/note-key.ts';
import { verifyConsistency, verifyInclusion } from '../../src/ledger/proof.ts';
import { tilePath } from '../../src/ledger/tile-name.ts';
import { TreeEdge } from '../../src/ledger/tree-edge.ts';
import { logServer } from '../../src/server/index.ts';
import { askGo, goEntry, type GoQuestion, goTlog, runProgram, tesseraTool } from '../go-tools.ts';
import { needs } from '../needs.ts';
import { seededRandom } from '../seeded-random.ts';

const TREES = 1000;
const SIZE_MAX = 3000;
/** Around the widths of tiles, and one whose tiles have three levels. */
const EDGE_SIZES = [1, 2, 3, 255, 256, 257, 512, 513, 65_537];
/** Where chance puts proofs, in each tree. */
const PROOFS_EACH = 4;
const LOG_ENTRIES = 700;
/** A worker of fsck ends with the first fault that it finds, and fsck hangs where the others cannot take all that is left. */
const FSCK_WORKERS = 16;
const FSCK_MS_MAX = 10_000;
const TEST_MS_MAX = 300_000;
const SEED = Number(process.env['PROVOST_TEST_SEED'] || randomInt(2 ** 31));

interface RandomTree {
  readonly prefix: string;
  readonly size: number;
  readonly indexes: readonly number[];
  readonly froms: readonly number[];
}

interface InclusionPart {
  readonly size: number;
  readonly index: number;
  readonly leafHash: Buffer;
  readonly root: Buffer;
  readonly proof: readonly Buffer[];
}

interface ConsistencyPart {
  readonly size: number;
  readonly from: number;
  readonly fromRoot: Buffer;
  readonly root: Buffer;
  readonly proof: readonly Buffer[];
}

interface OurTree {
  readonly root: Buffer;
  readonly inclusion: readonly InclusionPart[];
  readonly consistency: readonly ConsistencyPart[];
}

function randomTrees(): RandomTree[] {
  const random = seededRandom(SEED);
  return Array.from({ length: TREES }, (_, n) => {
    // Small trees are more: they are the odd ones.
    const size = EDGE_SIZES[n] ?? 1 + Math.floor(random() ** 2 * SIZE_MAX);
    const some = (): number[] => Array.from({ length: PROOFS_EACH }, () => Math.floor(random() * size));
    return { prefix: `${SEED}/${n}`, size, indexes: [0, size - 1, ...some()], froms: some().map((from) => from + 1) };
  });
}

/** The tree of `test/go-tlog`'s entries, by the writer's edge and the reader's tiles. */
async function ourTree({ prefix, size, indexes, froms }: RandomTree): Promise<OurTree> {
  const edge = new TreeEdge();
  const rootAt = new Map<number, Buffer>();
  for (let at = 0; at < size; at += 1) {
    edge.add(goEntry(prefix, at));
    if (froms.includes(at + 1)) rootAt.set(at + 1, edge.root());
  }
  const tiles = new Map([...edge.takeFull(), ...edge.partial()].map(({ name, bytes }) => [tilePath(name), bytes]));
  const tree = openTileTree((name) => Promise.resolve(tiles.get(tilePath(name)) ?? Buffer.alloc(0)), size);
  const root = await tree.root();
  expect(root).toEqual(edge.root());
  const inclusion = [];
  for (const index of indexes)
    inclusion.push({
      ...{ size, index, root, leafHash: hashLeaf(goEntry(prefix, index)) },
      proof: await tree.inclusionProof(index),
    });
  const consistency = [];
  for (const from of froms)
    consistency.push({
      ...{ size, from, root, fromRoot: rootAt.get(from) ?? Buffer.alloc(0) },
      proof: await tree.consistencyProof(from),
    });
  return { root, inclusion, consistency };
}

function base64(hashes: readonly Buffer[]): string[] {
  return hashes.map((hash) => hash.toString('base64'));
}

function inclusionQuestion({ size, index, leafHash, root, proof }: InclusionPart): GoQuestion {
  const [leafText = '', rootText = ''] = base64([leafHash, root]);
  return { do: 'inclusion', size, index, leafHash: leafText, root: rootText, proof: base64(proof) };
}

function consistencyQuestion({ size, from, fromRoot, root, proof }: ConsistencyPart): GoQuestion {
  const [fromText = '', rootText = ''] = base64([fromRoot, root]);
  return { do: 'consistency', size, from, fromRoot: fromText, root: rootText, proof: base64(proof) };
}

function holdsHere(part: InclusionPart | ConsistencyPart): boolean {
  try {
    if ('index' in part) verifyInclusion({ ...part, index: BigInt(part.index), size: BigInt(part.size) });
    else verifyConsistency({ ...part, from: BigInt(part.from), to: BigInt(part.size), toRoot: part.root });
    return true;
  } catch {
    // Refused, for whatever reason: Go says the same of it, or the test fails.
    return false;
  }
}

/** The same claim with one bit of its proof changed; of its root where the proof is empty. */
function damaged<Part extends InclusionPart | ConsistencyPart>(part: Part, at: number): Part {
  const flip = (hash: Buffer): Buffer => Buffer.from(hash.map((byte, n) => (n === at % hash.length ? byte ^ 1 : byte)));
  if (part.proof.length === 0) return { ...part, root: flip(part.root) };
  return { ...part, proof: part.proof.map((hash, n) => (n === at % part.proof.length ? flip(hash) : hash)) };
}

describe.skipIf(needs('go'))("Go's checksum database and Tessera", () => {
  const dir = mkdtempSync(join(tmpdir(), 'provost-go-'));
  const logDir = join(dir, 'log');
  let go: string;
  let log: PublicLog;
  let logKey: string;
  let fsckProgram: Promise<string>;

  beforeAll(async () => {
    go = await goTlog();
    // Its build goes on beside the other tests.
    fsckProgram = tesseraTool('cmd/fsck');
    fsckProgram.catch(() => undefined);
    logKey = makePublicLog(logDir, 'example.com/go');
    log = await openPublicLog({ dir: logDir, witnesses: [], quorum: 0 });
    await Promise.all(Array.from({ length: LOG_ENTRIES }, (_, n) => log.add(goEntry('log', n, n))));
    await log.receipt(LOG_ENTRIES - 1);
  }, TEST_MS_MAX);

  afterAll(async () => {
    await log[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true });
  });

  it(
    `agree on ${TREES} random trees, their proofs, and that a changed bit breaks them`,
    async () => {
      const asked = randomTrees();
      const theirs = await askGo(
        go,
        asked.map((tree) => ({ do: 'tree', ...tree })),
      );
      const ours: OurTree[] = [];
      for (const tree of asked) ours.push(await ourTree(tree));
      for (const [n, { root, inclusion, consistency }] of ours.entries()) {
        expect(theirs[n], `seed ${SEED}, tree ${n}`).toEqual({
          root: root.toString('base64'),
          inclusion: inclusion.map(({ proof }) => base64(proof)),
          consistency: consistency.map(({ proof }) => base64(proof)),
        });
      }
      const parts = ours.flatMap(({ inclusion, consistency }) => [...inclusion, ...consistency]);
      const claims = [...parts, ...parts.map(damaged)];
      const verdicts = await askGo(
        go,
        claims.map((part) => ('index' in part ? inclusionQuestion(part) : consistencyQuestion(part))),
      );
      const expected = claims.map((_, n) => n < parts.length);
      expect(claims.map(holdsHere), `seed ${SEED}`).toEqual(expected);
      expect(
        verdicts.map(({ error }) => error === undefined),
        `seed ${SEED}`,
      ).toEqual(expected);
    },
    TEST_MS_MAX,
  );

  it('open the checkpoints of a log, and refuse one with a digit changed', async () => {
    const checkpoint = readFileSync(join(logDir, 'served/checkpoint'), 'utf8');
    const changed = checkpoint.replace(`\n${LOG_ENTRIES}\n`, `\n${LOG_ENTRIES + 1}\n`);
    const [opened, refused] = await askGo(go, [
      { do: 'open', key: logKey, text: checkpoint },
      { do: 'open', key: logKey, text: changed },
    ]);
    expect(opened?.text).toBe(checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1));
    expect(refused?.error).toContain('invalid signature');
  });

  it('sign checkpoints that are verified here', async () => {
    const key = makeSignerKey('example.com/theirs');
    const root = hashLeaf(Buffer.from('one'));
    const text = checkpointText({ origin: 'example.com/theirs', size: 1, root, extensions: ['more'] });
    const [signed] = await askGo(go, [{ do: 'sign', key, text }]);
    const policy = { log: [parseVerifierKey(parseSignerKey(key).verifier.text)], witnesses: [], quorum: 0 };
    const note = signed?.text ?? '';
    expect(verifyCheckpoint(Buffer.from(note), policy)).toMatchObject({ size: 1, root, extensions: ['more'] });
    expect(() => verifyCheckpoint(Buffer.from(note.replace('more', 'Nore')), policy)).toThrow(
      expect.objectContaining({ code: 'LEDGER_SIGNATURE' }),
    );
  });

  it(
    'find a served log whole, and one byte changed in any kind of its files',
    async () => {
      const command = await fsckProgram;
      const server = logServer(log, logDir);
      try {
        const url = await server.listen({ host: '127.0.0.1', port: 0 });
        const keyFile = join(logDir, 'key.pub');
        const args = [`--storage_url=${url}/`, `--public_key=${keyFile}`, '--ui=false', '-v=1', `-N=${FSCK_WORKERS}`];
        /** It ends with 0 either way: what it says counts. */
        const isWhole = async (): Promise<boolean> => {
          const { code, stderr } = await runProgram({ command, args, timeoutMs: FSCK_MS_MAX });
          expect(code, stderr).toBe(0);
          expect(stderr).toContain('Completed ranges');
          return !stderr.includes('fsck failed');
        };
        expect(await isWhole()).toBe(true);
        for (const file of ['checkpoint', 'tile/entries/001', 'tile/0/000', 'tile/0/002.p/188', 'tile/1/000.p/2']) {
          const path = join(logDir, 'served', file);
          const bytes = readFileSync(path);
          const at = Math.floor(bytes.length / 2);
          writeFileSync(path, bytes.with(at, (bytes[at] ?? 0) ^ 1));
          expect(await isWhole(), `${file} changed at ${at}`).toBe(false);
          writeFileSync(path, bytes);
        }
        expect(await isWhole()).toBe(true);
      } finally {
        await server.close();
      }
    },
    TEST_MS_MAX,
  );
});
