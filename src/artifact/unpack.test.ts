// What unpacking makes of an archive, against what was put into it; archives by our own writer and by GNU tar.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { needs } from '../../test/needs.ts';
import { digestOf } from './digest.ts';
import { openKernel } from './kernel.ts';
import type { LayerFacts } from './layer-facts.ts';
import type { ByteSource } from './layer-source.ts';
import { type TarInput, tarOf, tarOfFolder } from './tar-writer.ts';
import { unpackLayer, unpackLimits } from './unpack.ts';

const kernel = openKernel();
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'artifact-unpack-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const unpackTo = async (out: string, tar: Buffer, pieceBytes = tar.length): Promise<LayerFacts> => {
  mkdirSync(out, { mode: 0o700 });
  const pieces = Array.from({ length: Math.ceil(tar.length / pieceBytes) }, (_, index) =>
    tar.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
  const source: ByteSource = { bytes: tar.length, open: () => Readable.from(pieces), whole: () => tar };
  return unpackLayer({ source, compression: 'none', diffId: digestOf(tar), dir: out, kernel, limits: unpackLimits });
};

/** Trees: a set of distinct names in up to three levels, so that no name is both file and folder. */
const name = fc.stringMatching(/^[a-zA-Z0-9ä€ _+-]{1,30}$/).filter((text) => !text.startsWith('.wh.'));
const content = fc.uint8Array({ maxLength: 3000 });
const mode = fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o2711, 0o000);
const owner = fc.constantFrom(0, 1, 1000, 65_535, 3_000_000_000);
const leaf = fc.oneof(
  fc.record({ type: fc.constant('file' as const), content, mode, uid: owner, gid: owner, mtime: fc.nat(2 ** 31) }),
  fc.record({ type: fc.constant('symlink' as const), linkPath: fc.stringMatching(/^[a-z./]{1,150}$/), uid: owner }),
  fc.record({ type: fc.constant('fifo' as const), mode }),
  fc.record({
    type: fc.constant('directory' as const),
    mode: fc.constantFrom(0o755, 0o1777, 0o700),
    mtime: fc.nat(2 ** 31),
  }),
);
const tree = fc
  .uniqueArray(fc.tuple(fc.array(name, { maxLength: 2 }), name, leaf), { maxLength: 12, selector: ([, last]) => last })
  .map((leaves) =>
    leaves.map(([above, last, entry], index): TarInput => ({
      ...entry,
      path: [...above.map((part) => `${part}.d${index}`), `${last}.f`].join('/'),
    })),
  );

const expectEntry = (root: string, entry: TarInput): void => {
  const path = join(root, entry.path);
  const stat = lstatSync(path);
  expect([stat.uid, stat.gid]).toEqual([entry.uid ?? 0, entry.gid ?? 0]);
  if (entry.type === 'symlink') {
    expect(readlinkSync(path)).toBe(entry.linkPath);
    return;
  }
  expect(stat.mode & 0o7777).toBe(entry.mode);
  expect(stat.mtimeMs).toBe((entry.mtime ?? 0) * 1000);
  if (entry.type === 'file') expect(readFileSync(path).equals(Buffer.from(entry.content ?? ''))).toBe(true);
  expect({ file: stat.isFile(), directory: stat.isDirectory(), fifo: stat.isFIFO() }[entry.type as 'file']).toBe(true);
};

describe.skipIf(needs('root'))('unpacking', () => {
  test('gives back what was written, whatever the pieces that it comes in (property)', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(tree, fc.integer({ min: 1, max: 2000 }), async (entries, pieceBytes) => {
        run += 1;
        const out = join(dir, String(run));
        const facts = await unpackTo(out, tarOf(entries), pieceBytes);
        for (const entry of entries) expectEntry(out, entry);
        expect(facts.entries).toBe(entries.length);
        rmSync(out, { recursive: true });
      }),
      { numRuns: 60 },
    );
  });

  test('keeps hard links, and gives both names one inode', async () => {
    const tar = tarOf([
      { path: 'bin/a', type: 'file', content: 'x' },
      { path: 'bin/b', type: 'hardlink', linkPath: 'bin/a' },
    ]);
    await unpackTo(join(dir, 'out'), tar);
    expect(lstatSync(join(dir, 'out/bin/b')).ino).toBe(lstatSync(join(dir, 'out/bin/a')).ino);
  });

  test('keeps file capabilities and user attributes, and drops labels of the host that built it', async () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    const attributes = new Map<string, Buffer>([
      ['security.capability', capability],
      ['user.note', Buffer.from('kept')],
      ['security.selinux', Buffer.from('label')],
    ]);
    const facts = await unpackTo(
      join(dir, 'out'),
      tarOf([{ path: 'ping', type: 'file', mode: 0o755, attributes, uid: 5 }]),
    );
    const path = Buffer.from(join(dir, 'out/ping'));
    expect(kernel.getAttribute(path, 'security.capability')).toEqual(capability);
    expect(kernel.getAttribute(path, 'user.note')?.toString()).toBe('kept');
    expect(kernel.getAttribute(path, 'security.selinux')).toBeNull();
    expect(facts.capabilities).toEqual({ count: 1, paths: ['ping'] });
  });

  test('makes whiteouts in the form of overlayfs, and a name that comes again beside its whiteout hides what is below', async () => {
    const tar = tarOf([
      { path: 'd/.wh.gone', type: 'file' },
      { path: '.wh.again', type: 'file' },
      { path: 'again', type: 'directory' },
      { path: '.wh.file', type: 'file' },
      { path: 'file', type: 'file', content: 'new' },
      { path: 'later/x', type: 'file' },
      { path: '.wh.later', type: 'file' },
    ]);
    const out = join(dir, 'out');
    const facts = await unpackTo(out, tar);
    expect(lstatSync(join(out, 'd/gone'))).toMatchObject({ rdev: 0 });
    expect(lstatSync(join(out, 'd/gone')).isCharacterDevice()).toBe(true);
    expect(readFileSync(join(out, 'file'), 'utf8')).toBe('new');
    const opaque = (path: string) =>
      kernel.getAttribute(Buffer.from(join(out, path)), 'trusted.overlay.opaque')?.toString();
    expect([opaque('again'), opaque('later'), opaque('d')]).toEqual(['y', 'y', undefined]);
    expect(facts.removes).toEqual({ count: 4, paths: ['d/gone', 'again', 'file', 'later'] });
  });

  test('gathers what a reviewer asks about, also what a later layer would remove', async () => {
    const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n-----END';
    const facts = await unpackTo(
      join(dir, 'out'),
      tarOf([
        { path: 'bin/su', type: 'file', mode: 0o4755, content: 'x' },
        { path: 'bin/locked', type: 'file', mode: 0o4644, content: 'x' },
        { path: 'tmp', type: 'directory', mode: 0o1777 },
        { path: 'srv', type: 'directory', mode: 0o777 },
        { path: 'app/run', type: 'file', mode: 0o777, content: 'x' },
        { path: 'app/deploy', type: 'file', content: key },
        ...Array.from({ length: 150 }, (_, index): TarInput => ({ path: `set/${index}`, type: 'file', mode: 0o2755 })),
      ]),
    );
    expect(facts.setuid.count).toBe(151);
    expect(facts.setuid.paths).toHaveLength(100);
    expect(facts.worldWritableDirs).toEqual({ count: 1, paths: ['srv'] });
    expect(facts.worldWritableFiles).toEqual({ count: 1, paths: ['app/run'] });
    expect(facts.secrets).toEqual({ count: 1, found: [{ path: 'app/deploy', kind: 'private-key' }] });
    expect(JSON.stringify(facts)).not.toContain('b3BlbnNzaC1r');
  });

  test.each(['gnu', 'pax', 'ustar'])('reads what GNU tar writes in its %s form', async (format) => {
    const from = join(dir, 'from');
    const long = format === 'ustar' ? 'short' : `${'long-name-'.repeat(12)}/${'n'.repeat(120)}`;
    mkdirSync(join(from, 'sub', long), { recursive: true });
    writeFileSync(join(from, 'sub', long, 'ünïcode'), 'content', { mode: 0o640 });
    writeFileSync(join(from, 'big'), Buffer.alloc(300_000, 'b'));
    symlinkSync(`/target/${'t'.repeat(format === 'ustar' ? 50 : 150)}`, join(from, 'link'));
    linkSync(join(from, 'big'), join(from, 'same'));
    const tar = execFileSync('tar', ['-C', from, `--format=${format}`, '--sort=name', '-c', '.'], {
      maxBuffer: 2 ** 24,
    });
    await unpackTo(join(dir, 'out'), tar, 1000);
    expect(tarOfFolder(join(dir, 'out')).equals(tarOfFolder(from))).toBe(true);
    expect(lstatSync(join(dir, 'out/same')).nlink).toBe(2);
  });

  test('a name that is not UTF-8 stays the bytes that it is', async () => {
    const tar = tarOf([{ path: 'a?b', type: 'file', content: 'x' }]);
    tar[1] = 0xe9;
    tar.write('        ', 148, 'latin1');
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    await unpackTo(join(dir, 'out'), tar);
    expect(existsSync(Buffer.concat([Buffer.from(`${dir}/out/a`), Buffer.from([0xe9]), Buffer.from('b')]))).toBe(true);
  });
});

test('a tar from before POSIX is refused', async () => {
  const tar = tarOf([{ path: 'a', type: 'file' }]);
  tar.fill(0, 257, 265);
  tar.write('        ', 148, 'latin1');
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  await expect(unpackTo(join(dir, 'out'), tar)).rejects.toMatchObject({ code: 'ARTIFACT_UNSUPPORTED' });
});

test('the same entries, and the same folder wherever it lies, give the same archive', () => {
  const entries: TarInput[] = [
    { path: 'a', type: 'file', content: 'x', attributes: new Map([['user.a', Buffer.from('b')]]) },
  ];
  expect(tarOf(entries).equals(tarOf(entries))).toBe(true);
  for (const place of ['one', 'two']) {
    mkdirSync(join(dir, place, 'sub'), { recursive: true });
    writeFileSync(join(dir, place, 'sub/f'), 'x');
  }
  expect(tarOfFolder(join(dir, 'one')).equals(tarOfFolder(join(dir, 'two')))).toBe(true);
});
