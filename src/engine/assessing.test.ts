import { mkdtempDisposableSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { hexOf } from '../artifact/index.ts';
import { parsePolicy } from '../policy/index.ts';
import {
  ChainFixture,
  CHAIN_NOW_MS,
  COMMIT,
  ORIGINS,
  resourceOf,
  says,
  sayWholeLife,
  things,
} from '../../test/chain-fixture.ts';
import { PROJECT_FOLDER } from '../../test/source/source-file.ts';
import {
  type AttestationStore,
  ChainCache,
  openAttestationStore,
  type StoredAttestation,
} from '../provenance/index.ts';
import { Look, verifyLoaded } from './assessing.ts';
import { leavesOfReader } from './log-leaves.ts';

const file = join(PROJECT_FOLDER, 'policies/default.yaml');
const policy = parsePolicy(readFileSync(file, 'utf8'), file);
const artifact = { name: 'shop/web', digest: things.image };

/** A home that keeps what a fixture says; its log is another process's. Each read of attestations and of entries is written down. */
function homeOf(
  fixture: ChainFixture,
  {
    change = (one) => one,
    attestations,
  }: { change?: (one: StoredAttestation) => StoredAttestation; attestations?: AttestationStore } = {},
) {
  const reads = { subjects: [] as string[], entries: [] as (readonly number[])[] };
  const entriesAt = (indexes: readonly number[]) => {
    reads.entries.push(indexes);
    const entries = indexes.flatMap((index) => {
      const leaf = fixture.log[index];
      return leaf === undefined ? [] : [[index, leaf] as const];
    });
    return Promise.resolve(new Map(entries));
  };
  const context = {
    clock: { nowMs: () => CHAIN_NOW_MS },
    keyring: fixture.keyring,
    attestations: attestations ?? {
      commitDigest: () => null,
      list: (subject: Parameters<typeof fixture.attestations.get>[0]) => {
        reads.subjects.push(subject);
        return (fixture.attestations.get(subject) ?? []).map(change);
      },
    },
    leaves: leavesOfReader(() => ({ entriesAt })),
    chains: new ChainCache(ORIGINS),
  };
  return { context: context as unknown as ConstructorParameters<typeof Look>[0], reads };
}

it('reads the entries of another’s journal step by step along the chain', async () => {
  using fixture = new ChainFixture();
  fixture.say('alice', says.release(), things.image);
  sayWholeLife(fixture);
  const { context, reads } = homeOf(fixture);
  const { verdict, failures } = await verifyLoaded(context, artifact, policy);
  expect([verdict, failures]).toEqual(['verified', []]);
  expect(reads.entries.map((indexes) => indexes.toSorted((a, b) => a - b))).toEqual([[0, 5, 6], [3], [1, 2, 4]]);
});

it('looks at what many artifacts have in common once, and at nothing twice', async () => {
  using fixture = new ChainFixture();
  fixture.say('alice', says.release(), things.image);
  sayWholeLife(fixture);
  const { context, reads } = homeOf(fixture);
  await verifyLoaded(context, artifact, policy);
  reads.subjects.length = 0;
  const look = new Look(context);
  const first = look.verify(artifact, policy);
  expect(look.verify(artifact, policy)).toBe(first);
  expect(look.verify({ ...artifact, name: 'shop/other' }, policy).verdict).toBe('verified');
  expect(reads.subjects.toSorted()).toEqual([...new Set(reads.subjects)].toSorted());
  expect(reads.entries).toHaveLength(3);
});

it('fails what a home keeps without its place in the log', async () => {
  using fixture = new ChainFixture();
  fixture.say('alice', says.release(), things.image);
  const { context } = homeOf(fixture, { change: (one) => ({ ...one, logIndex: null }) });
  const { verdict, failures } = await verifyLoaded(context, artifact, policy);
  expect([verdict, failures[0]?.reason]).toEqual(['failed', 'the log has no such entry']);
});

it('leads provenance that names a commit by git’s id alone to the one that the home recorded', async () => {
  using fixture = new ChainFixture();
  using folder = mkdtempDisposableSync(join(tmpdir(), 'provost-commits-'));
  fixture.say('alice', says.source(COMMIT, things.commit), things.commit);
  fixture.say('ci', says.build([resourceOf(null, COMMIT)]), things.image);
  const store = openAttestationStore(folder.path);
  for (const { bytes, logIndex } of [...fixture.attestations.values()].flat()) store.put(bytes, logIndex ?? 0);
  const { context } = homeOf(fixture, { attestations: store });
  const scoreOf = async (): Promise<number | undefined> => {
    const { findings } = await verifyLoaded(context, artifact, policy);
    return findings.evidence.find(({ check }) => check === 'build.provenance')?.score;
  };
  expect(await scoreOf()).toBe(1);
  // A place that leads elsewhere is noticed; without one the commit is nobody's.
  const place = join(folder.path, 'commits', COMMIT);
  writeFileSync(place, `${hexOf(things.product)}\n`);
  expect(await scoreOf()).toBe(0.5);
  rmSync(place);
  expect(await scoreOf()).toBe(0.5);
});
