import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { needs } from '../../test/needs.ts';
import { ID_RANGE_SIZE, openStore, type Store, type WorkloadRow } from './index.ts';

const HOME_ID = 'a1b2c3';
let dir: string;
let file: string;
let store: Store;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-store-'));
  file = join(dir, 'state.sqlite');
  store = openStore(file, { homeId: HOME_ID, eventsKeptMax: 300 });
});

afterEach(() => {
  store[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

function reopen(): void {
  store[Symbol.dispose]();
  store = openStore(file, { homeId: HOME_ID, eventsKeptMax: 300 });
}

function workload(name: string, fields: Partial<WorkloadRow> = {}): WorkloadRow {
  return {
    name,
    request: { argv: ['a'] },
    desiredState: 'running',
    currentRevision: null,
    createdMs: 1,
    document: null,
    ...fields,
  };
}

it('gives back what was put, after a restart too', () => {
  const row = workload('web', { request: { argv: ['é', '"'], nested: [1, null] }, currentRevision: 3 });
  store.workloads.put(row);
  reopen();
  expect(store.workloads.get({ name: 'web' })).toEqual(row);
  expect(store.workloads.get({ name: 'other' })).toBeNull();
});

it('keeps its files for the owner alone', () => {
  store.workloads.put(workload('a'));
  const modes = ['', '-wal', '-shm'].map((suffix) => statSync(`${file}${suffix}`).mode & 0o777);
  expect(modes).toEqual([0o600, 0o600, 0o600]);
});

it('replaces the row with the same key, and only that one', () => {
  store.workloads.put(workload('a'));
  store.workloads.put(workload('b'));
  store.workloads.put(workload('a', { desiredState: 'stopped' }));
  expect(store.workloads.list().map(({ name, desiredState }) => [name, desiredState])).toEqual([
    ['a', 'stopped'],
    ['b', 'running'],
  ]);
});

it('deletes a row once', () => {
  store.workloads.put(workload('a'));
  expect([store.workloads.delete({ name: 'a' }), store.workloads.delete({ name: 'a' })]).toEqual([true, false]);
});

it('lists rows by the fields that are given, also by null, in the order of their keys', () => {
  const revision = (name: string, number: number, goodSinceMs: number | null) =>
    store.revisions.put({
      workload: name,
      number,
      artifactDigest: 'sha256:aa',
      requestDigest: 'sha256:bb',
      request: {},
      launch: {},
      goodSinceMs,
      createdMs: 0,
    });
  revision('web', 10, null);
  revision('web', 9, 5);
  revision('db', 1, null);
  const numbers = (where: Parameters<Store['revisions']['list']>[0]) =>
    store.revisions.list(where).map(({ number }) => number);
  expect(numbers({ workload: 'web' })).toEqual([9, 10]);
  expect(numbers({ workload: 'web', goodSinceMs: null })).toEqual([10]);
  expect(numbers({})).toEqual([1, 9, 10]);
  expect(store.revisions.get({ workload: 'web', number: 9 })?.goodSinceMs).toBe(5);
});

it('keeps each kind of row', () => {
  const instance = {
    id: 'i1',
    workload: 'web',
    revision: 1,
    state: 'running',
    record: { pid: 7 },
    idRangeFirst: 1_000_000,
    startedMs: 2,
    endedMs: null,
    exit: null,
    document: { a: 1 },
  };
  const incident = {
    id: 'n1',
    workload: 'web',
    artifactDigest: 'sha256:aa',
    severity: 'high',
    state: 'open' as const,
    openedMs: 3,
    document: { why: 'x' },
  };
  const override = { workload: 'web', untilMs: 9, document: { tier: 'low' } };
  const learnt = { artifactDigest: 'sha256:aa', document: { mean: [0.1, 1e-9] }, updatedMs: 4 };
  const publisher = { id: 'alice', document: { incidents: 0 }, updatedMs: 5 };
  const name = { name: 'shop/web', artifactDigest: 'sha256:aa', updatedMs: 6 };
  store.instances.put(instance);
  store.incidents.put(incident);
  store.overrides.put(override);
  store.models.put(learnt);
  store.trustStates.put(learnt);
  store.publishers.put(publisher);
  store.artifactNames.put(name);
  reopen();
  expect(store.instances.list({ workload: 'web' })).toEqual([instance]);
  expect(store.incidents.list({ artifactDigest: 'sha256:aa', state: 'open' })).toEqual([incident]);
  expect(store.overrides.get({ workload: 'web' })).toEqual(override);
  expect(store.models.get({ artifactDigest: 'sha256:aa' })).toEqual(learnt);
  expect(store.trustStates.get({ artifactDigest: 'sha256:aa' })).toEqual(learnt);
  expect(store.publishers.get({ id: 'alice' })).toEqual(publisher);
  expect(store.artifactNames.get({ name: 'shop/web' })).toEqual(name);
});

it('takes a hostile name for text', () => {
  const name = `x'); DROP TABLE workloads; --`;
  store.workloads.put(workload(name));
  expect(store.workloads.list({ name }).map((row) => row.name)).toEqual([name]);
});

it('keeps all of a transaction or nothing, with the transactions inside it', () => {
  const failing = () =>
    store.transaction(() => {
      store.workloads.put(workload('a'));
      store.transaction(() => store.workloads.put(workload('b')));
      store.events.append({ workload: 'a', timeMs: 1, document: {} });
      throw new Error('changed my mind');
    });
  expect(failing).toThrow('changed my mind');
  expect([store.workloads.list(), store.events.lastSeq()]).toEqual([[], 0]);
  expect(store.transaction(() => (store.workloads.put(workload('c')), 'done'))).toBe('done');
  expect(store.workloads.list()).toHaveLength(1);
});

it('makes a put survive a kill -9 of its process', () => {
  const url = new URL('./index.ts', import.meta.url).href;
  const other = join(dir, 'other.sqlite');
  const script = `const { openStore } = await import('${url}');
    const store = openStore('${other}', { homeId: '${HOME_ID}' });
    store.workloads.put(${JSON.stringify(workload('kept'))});
    store.events.append({ workload: 'kept', timeMs: 1, document: 1 });
    process.kill(process.pid, 'SIGKILL');`;
  expect(spawnSync(process.execPath, ['--input-type=module', '-e', script]).signal).toBe('SIGKILL');
  using found = openStore(other, { homeId: HOME_ID });
  expect([found.workloads.list().length, found.events.lastSeq()]).toEqual([1, 1]);
});

it('numbers events for ever and keeps the newest', () => {
  for (let n = 1; n <= 1100; n += 1)
    store.events.append({ workload: n % 2 === 0 ? 'even' : 'odd', timeMs: n, document: { n } });
  const kept = store.events.list({ afterSeq: 0, workload: null, limit: 5000 });
  expect(kept.at(-1)).toEqual({ seq: 1100, workload: 'even', timeMs: 1100, document: { n: 1100 } });
  expect(kept.length).toBeGreaterThanOrEqual(300);
  expect(kept.length).toBeLessThan(300 + 256);
  expect(store.events.list({ afterSeq: 1096, workload: 'odd', limit: 10 }).map(({ seq }) => seq)).toEqual([1097, 1099]);
  expect(store.events.list({ afterSeq: 1000, workload: null, limit: 2 }).map(({ seq }) => seq)).toEqual([1001, 1002]);
  reopen();
  expect([store.events.lastSeq(), store.events.append({ workload: 'odd', timeMs: 0, document: null })]).toEqual([
    1100, 1101,
  ]);
});

it('gives every owner its own range of ids, the same when asked again, and a released one last', () => {
  const first = store.idRanges.allocate('i1');
  const second = store.idRanges.allocate('i2');
  expect(store.idRanges.allocate('i1')).toBe(first);
  expect([first >= 1_000_000, (first - 1_000_000) % ID_RANGE_SIZE, Math.abs(second - first) >= ID_RANGE_SIZE]).toEqual([
    true,
    0,
    true,
  ]);
  store.idRanges.release('i1');
  reopen();
  expect(store.idRanges.allocate('i3')).not.toBe(first);
  expect(store.idRanges.list().map(({ owner }) => owner)).toEqual(['i2', 'i3']);
});

it('begins at another range in another home', () => {
  using other = openStore(join(dir, 'other.sqlite'), { homeId: 'a1b2c4' });
  expect(Math.abs(other.idRanges.allocate('i') - store.idRanges.allocate('i'))).toBeGreaterThan(1000 * ID_RANGE_SIZE);
});

it('says when no range of ids is left', () => {
  const total = Math.floor((2 ** 31 - 1_000_000) / ID_RANGE_SIZE);
  const database = new DatabaseSync(file);
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${total})
    INSERT INTO idRanges SELECT 'o' || i, 1000000 + i * ${ID_RANGE_SIZE} FROM n`);
  database.close();
  expect(() => store.idRanges.allocate('late')).toThrow(expect.objectContaining({ code: 'STORE_ID_RANGES', exit: 6 }));
  store.idRanges.release('o17');
  expect(store.idRanges.allocate('late')).toBe(1_000_000 + 17 * ID_RANGE_SIZE);
});

it.each([
  ['a folder that is not there', 'none/state.sqlite', null, 'STORE_OPEN'],
  ['a file that is no database', 'text.sqlite', 'not a database '.repeat(100), 'STORE_CORRUPT'],
])('refuses %s', (_, name, content, code) => {
  if (content !== null) writeFileSync(join(dir, name), content);
  expect(() => openStore(join(dir, name), { homeId: HOME_ID })).toThrow(expect.objectContaining({ code, exit: 6 }));
});

it('refuses a database of a newer version, and changes nothing in it', () => {
  const newer = join(dir, 'newer.sqlite');
  const database = new DatabaseSync(newer);
  database.exec('PRAGMA user_version = 99');
  database.close();
  expect(() => openStore(newer, { homeId: HOME_ID })).toThrow(expect.objectContaining({ code: 'STORE_NEWER' }));
  const after = new DatabaseSync(newer);
  expect(after.prepare('SELECT count(*) AS n FROM sqlite_schema').get()).toMatchObject({ n: 0 });
  after.close();
});

it('says when another process holds the database', () => {
  const other = new DatabaseSync(file);
  other.exec('BEGIN IMMEDIATE');
  try {
    expect(() => store.workloads.put(workload('a'))).toThrow(expect.objectContaining({ code: 'STORE_BUSY' }));
  } finally {
    other.close();
  }
});

it('passes on what SQLite refuses otherwise, with its reason', () => {
  const broken = workload('a', { currentRevision: 'seven' as never });
  expect(() => store.workloads.put(broken)).toThrow(expect.objectContaining({ code: 'STORE_FAILED', exit: 1 }));
});

it.skipIf(needs('root'))('as root: says when the disk is full, and keeps what was there', () => {
  const disk = join(dir, 'disk');
  expect(spawnSync('sh', ['-c', `mkdir '${disk}' && mount -t tmpfs -o size=512k provost-test '${disk}'`]).status).toBe(
    0,
  );
  try {
    using small = openStore(join(disk, 'state.sqlite'), { homeId: HOME_ID });
    small.workloads.put(workload('first'));
    const big = workload('big', { document: 'x'.repeat(600_000) });
    expect(() => small.transaction(() => small.workloads.put(big))).toThrow(
      expect.objectContaining({ code: 'STORE_NO_SPACE' }),
    );
    expect(small.workloads.list().map(({ name }) => name)).toEqual(['first']);
    small.workloads.put(workload('second'));
  } finally {
    spawnSync('umount', [disk]);
  }
  expect(statSync(disk).isDirectory()).toBe(true);
});
