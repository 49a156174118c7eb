// Power cuts and failing disks at every operation: what was acknowledged stays, and no two checkpoints of one size differ.
import { expect, it } from 'vitest';

import { CrashingDisk } from '../../test/crashing-disk.ts';
import { seededRandom } from '../../test/seeded-random.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { makeSignerKey, parseSignerKey } from './note-key.ts';
import { parseNote } from './signed-note.ts';
import { openTileLog, type TileLog } from './tile-log.ts';
import { openTileTree } from './tile-tree.ts';
import { readTile, logFiles } from './log-files.ts';

const DIR = '/log';
const files = logFiles(DIR);
const signer = parseSignerKey(makeSignerKey('crash.example'));
/** So many in each run of the tests; npm run test:crash asks for 10,000. */
const CRASHES = Number(process.env['PROVOST_CRASHES'] ?? 1000);
/** Lives of one log: each ends with a crash, and the next goes on. */
const LIVES = 5;
const SEED = Number(process.env['PROVOST_TEST_SEED'] ?? Date.now() % 2 ** 31);

/** Share of the earlier trees that are looked at after each crash. */
const TREES_CHECKED = 0.1;

/** What the world has seen of one log. */
interface Seen {
  readonly acknowledged: Map<number, string>;
  readonly roots: Map<number, string>;
  nextEntry: number;
}

interface Life {
  readonly log: TileLog;
  readonly disk: CrashingDisk;
  readonly seen: Seen;
  readonly random: () => number;
}

function open(disk: CrashingDisk, seen: Seen): Promise<TileLog> {
  disk.onReplace = (path, bytes) => {
    if (path !== files.checkpoint) return;
    const { size, root } = parseCheckpoint(parseNote(bytes).text);
    const known = seen.roots.get(size) ?? root.toString('hex');
    if (root.toString('hex') !== known) throw new Error(`two checkpoints of ${size}`);
    seen.roots.set(size, known);
  };
  const options = { dir: DIR, disk, signer, check: () => undefined, publishAfterMs: 0, settleAfterMs: 0, cosign: null };
  return openTileLog(options, { [Symbol.dispose]: () => undefined });
}

/** Appends batches until the disk fails. */
async function live(log: TileLog, seen: Seen, random: () => number): Promise<void> {
  for (let round = 0; round < 12; round += 1) {
    const count = 1 + Math.floor(random() ** 3 * 200);
    const appended = Array.from({ length: count }, () => {
      const text = `entry ${seen.nextEntry}`;
      seen.nextEntry += 1;
      return log.append(Buffer.from(text), { flush: true }).then((index) => seen.acknowledged.set(index, text));
    });
    const settled = await Promise.allSettled(appended);
    if (random() < 0.5) await log.publish().catch(() => undefined);
    if (settled.some(({ status }) => status === 'rejected')) return;
  }
}

async function check({ log, disk, seen, random }: Life): Promise<void> {
  const read = new Map<number, string>();
  for (let from = 0; from < log.size; from += 1024)
    for (const { index, bytes } of log.read(from, 1024)) read.set(index, bytes.toString());
  const lost = [...seen.acknowledged].filter(([index, text]) => read.get(index) !== text);
  expect(lost).toEqual([]);
  const largest = Math.max(...seen.roots.keys());
  expect(largest).toBeLessThanOrEqual(log.size);
  for (const [size, root] of seen.roots) {
    if (size !== largest && random() > TREES_CHECKED) continue;
    const tree = openTileTree((name) => Promise.resolve(readTile(disk, files, name)), size);
    expect((await tree.root()).toString('hex'), `the tree of ${size}`).toBe(root);
  }
}

/** One life of a log on a disk that fails at some operation: it may not even open. */
async function liveOnce(disk: CrashingDisk, seen: Seen, random: () => number): Promise<void> {
  let log: TileLog;
  try {
    log = await open(disk, seen);
  } catch (error) {
    expect(error).toMatchObject({ code: 'LEDGER_STOPPED' });
    return;
  }
  await check({ log, disk, seen, random });
  await live(log, seen, random);
  await log[Symbol.asyncDispose]();
}

it(`keeps what it acknowledged through ${CRASHES} power cuts, from seed ${SEED}`, { timeout: 600_000 }, async () => {
  const random = seededRandom(SEED);
  let [crashes, entries] = [0, 0];
  while (crashes < CRASHES) {
    const seen: Seen = { acknowledged: new Map(), roots: new Map(), nextEntry: 0 };
    let disk = new CrashingDisk(0);
    for (let life = 0; life < LIVES; life += 1) {
      disk = disk.afterCrash(random, 1 + Math.floor(random() ** 2 * 150));
      await liveOnce(disk, seen, random);
      crashes += 1;
    }
    disk = disk.afterCrash(random, Number.POSITIVE_INFINITY);
    const log = await open(disk, seen);
    await check({ log, disk, seen, random });
    await log[Symbol.asyncDispose]();
    entries += seen.acknowledged.size;
  }
  expect(entries).toBeGreaterThan(crashes);
});
