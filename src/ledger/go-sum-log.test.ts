import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { parseCheckpoint } from './checkpoint.ts';
import { faultOfModule, parseEscapedModule } from './go-module.ts';
import { goRecordKey, parseGoRecord } from './go-record.ts';
import { type GoSumLog, openGoSumLog } from './go-sum-log.ts';
import { parseVerifierKey } from './note-key.ts';
import { makePublicLog, openPublicLog, publicKeyOf } from './public-log.ts';
import { parseNote, verifyNote } from './signed-note.ts';
import { hashLeaf } from './tree-hash.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-gosum-'));
  makePublicLog(dir, 'sum.example.com', 'gosum');
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const open = (): Promise<GoSumLog> => openGoSumLog({ dir, witnesses: [], quorum: 0 });
const hashOf = (fill: string): string => `h1:${Buffer.alloc(32, fill).toString('base64')}`;
const record = (version: string, fill = 'a', path = 'example.com/Mod'): Buffer =>
  Buffer.from(`${path} ${version} ${hashOf(fill)}\n${path} ${version}/go.mod ${hashOf('m')}\n`);
const refused = (code: string): unknown => expect.objectContaining({ code });

describe('a checksum database', () => {
  it('takes each module at a version once, and refuses other hashes, also at the same time and after it was opened again', async () => {
    {
      await using log = await open();
      expect(await Promise.all(['v1.0.0', 'v1.0.1', 'v1.0.0'].map((version) => log.add(record(version))))).toEqual([
        0, 1, 0,
      ]);
      const both = await Promise.allSettled([log.add(record('v1.1.0', 'b')), log.add(record('v1.1.0', 'c'))]);
      expect(both).toMatchObject([{ value: 2 }, { reason: { code: 'LEDGER_RECORD_CONFLICT', exit: 8 } }]);
      expect([log.size, log.origin]).toEqual([3, 'sum.example.com']);
    }
    await rm(join(dir, 'duplicates.sqlite'));
    await using log = await open();
    await expect(log.add(record('v1.0.1', 'b'))).rejects.toEqual(refused('LEDGER_RECORD_CONFLICT'));
    expect([await log.add(record('v1.0.1')), await log.add(record('v1.1.0', 'b')), log.size]).toEqual([1, 2, 3]);
  });

  it('refuses what is no record, and stores nothing of it', async () => {
    const good = record('v1.0.0').toString();
    const bad = [
      ...['', '\n', good.trimEnd(), `${good}\n`, good + good, good.replace('\n', '\r\n'), good.replace(' ', '  ')],
      ...[
        good.replaceAll('v1.0.0', 'v1.0'),
        good.replaceAll('v1.0.0', 'v2.0.0'),
        good.replaceAll('example.com', 'local'),
      ],
      ...[
        good.replace('h1:', 'h2:'),
        good.replace('h1:', 'h1:A'),
        good.replace('h1:', ''),
        good.replace('/go.mod', ''),
      ],
      ...[
        good.replace('Mod v1.0.0/', 'Other v1.0.0/'),
        good.replaceAll('Mod', 'Möd'),
        good.replaceAll('Mod', 'x'.repeat(2000)),
      ],
      ...[
        good.split('\n').toReversed().join('\n'),
        good.replace(hashOf('m'), `${hashOf('m')} `),
        good.replaceAll('Mod', 'M\0d'),
      ],
    ];
    await using log = await open();
    for (const text of bad) {
      await expect(log.add(Buffer.from(text)), JSON.stringify(text)).rejects.toEqual(refused('LEDGER_RECORD'));
    }
    expect(log.size).toBe(0);
    expect(await log.add(Buffer.from(good))).toBe(0);
  });

  it('answers a record with the tree that it is in, at once', async () => {
    await using log = await open();
    expect(parseCheckpoint(parseNote(log.latest()).text)).toMatchObject({ origin: 'go.sum database tree', size: 0 });
    await log.add(record('v1.0.0'));
    const answer = (await log.lookup('example.com/!mod@v1.0.0')).toString();
    const [head, rest] = [`0\n${record('v1.0.0').toString()}\n`, answer.slice(answer.indexOf('go.sum database'))];
    expect(answer).toBe(`${head}${rest}`);
    const note = parseNote(Buffer.from(rest));
    expect(verifyNote(note, [parseVerifierKey(publicKeyOf(dir) ?? '')])).toHaveLength(1);
    expect(parseCheckpoint(note.text)).toMatchObject({ size: 1, root: hashLeaf(record('v1.0.0')) });
    expect([log.latest().toString(), log.latest().toString()]).toEqual([rest, rest]);
    await expect(log.lookup('example.com/!mod@v1.0.1')).rejects.toEqual(refused('LEDGER_NO_RECORD'));
    for (const name of [
      '',
      'example.com/Mod@v1.0.0',
      'example.com/!mod',
      'example.com/!mod@latest',
      'example.com/!!mod@v1.0.0',
    ])
      await expect(log.lookup(name), name).rejects.toEqual(refused('LEDGER_RECORD'));
  });

  it('serves its tiles by both kinds of paths, and records as Go has them', async () => {
    await using log = await open();
    await Promise.all(Array.from({ length: 300 }, (_, n) => log.add(record(`v1.${n}.0`))));
    await log.lookup('example.com/!mod@v1.299.0');
    for (const [go, ours] of [
      ['tile/8/0/000', 'tile/0/000'],
      ['tile/8/0/001.p/44', 'tile/0/001.p/44'],
      ['tile/8/1/000.p/1', 'tile/1/000.p/1'],
    ] as const)
      expect(log.file(go)).toEqual(log.file(ours) ?? 'missing');
    const data = (from: number, to: number): string =>
      Array.from({ length: to - from }, (_, n) => `${record(`v1.${from + n}.0`).toString()}\n`).join('');
    expect(log.file('tile/8/data/000')?.bytes.toString()).toBe(data(0, 256));
    expect(log.file('tile/8/data/001.p/3')?.bytes.toString()).toBe(data(256, 259));
    for (const path of [
      'tile/8/00/000',
      'tile/8/64/000',
      'tile/8/data/002',
      'tile/8/data/0',
      'tile/8/-1/000',
      'tile/9/0/000',
      'tile/8/0/../0/000',
    ])
      expect(log.file(path), path).toBeNull();
  });

  it('signs no tree that it did not sign before, and says when there is none', async () => {
    await using log = await open();
    const file = join(dir, 'served/checkpoint');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('\n0\n', '\n7\n'));
    expect(() => log.latest()).toThrow(refused('LEDGER_SIGNATURE'));
    await rm(file);
    expect(() => log.latest()).toThrow(refused('LEDGER_UNAVAILABLE'));
    writeFileSync(file, text);
    expect(log.latest().toString()).toContain('go.sum database tree\n0\n');
  });

  it('is not taken for a log of any bytes', async () => {
    await using log = await openPublicLog({ dir, witnesses: [], quorum: 0 });
    await expect(log.add(Buffer.from('any bytes'))).rejects.toEqual(refused('LEDGER_RECORD'));
    expect([log.find(goRecordKey(record('v1.0.0'))), log.read(0, 1)]).toEqual([null, []]);
  });
});

describe('a module', () => {
  it.each([
    ['example.com/a', 'v0.0.0-20200101000000-abcdefabcdef'],
    ['example.com/a/v2', 'v2.0.0'],
    ['example.com/a', 'v2.0.0+incompatible'],
    ['gopkg.in/yaml.v2', 'v2.2.1'],
    ['gopkg.in/check.v1', 'v0.0.0-20161208181325-20d25e280405'],
    ['gopkg.in/x.v3-unstable', 'v3.0.0'],
    ['golang.org/toolchain', 'v0.0.1-go1.21.0.linux-amd64'],
  ])('%s at %s is canonical', (path, version) => {
    expect(faultOfModule({ path, version })).toBeNull();
  });

  it.each([
    ['example.com/a/v2', 'v1.0.0'],
    ['example.com/a/v1', 'v1.0.0'],
    ['example.com/a', 'v2.0.0'],
    ['example.com/a', 'v1.0.0+build'],
    ['gopkg.in/yaml', 'v1.0.0'],
    ['example.com/con', 'v1.0.0'],
    ['example.com/a~1', 'v1.0.0'],
    ['x'.repeat(2000), 'v1.0.0'],
  ])('%s at %s is not', (path, version) => {
    expect(faultOfModule({ path, version })).not.toBeNull();
  });

  it('has one form in a URL', () => {
    expect(parseEscapedModule('github.com/!azure/x@v1.0.0-!r!c1')).toEqual({
      path: 'github.com/Azure/x',
      version: 'v1.0.0-RC1',
    });
    for (const text of [
      'github.com/!Azure/x@v1.0.0',
      'github.com/a!@v1.0.0',
      'github.com/a@v1.0.0@v1.0.0',
      'x'.repeat(5000),
    ])
      expect(parseEscapedModule(text), text.slice(0, 40)).toBeNull();
    expect(parseGoRecord(record('v1.0.0'))).toEqual({ path: 'example.com/Mod', version: 'v1.0.0' });
  });
});
