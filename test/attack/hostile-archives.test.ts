// Hostile images: each is refused with its code, and the host is as it was: nothing outside, nothing half-unpacked inside.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  type ContentStore,
  type Digest,
  digestOf,
  hexOf,
  openContentStore,
  parseReference,
  resolveArtifact,
  type TarInput,
  tarOf,
  type UnpackLimits,
  unpackLimits,
  writeOciLayout,
} from '../../src/artifact/index.ts';
import { needs } from '../needs.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

let dir: string;
let store: ContentStore;

describe.skipIf(needs('root'))('hostile images', () => {
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'attack-archives-'));
    mkdirSync(join(dir, 'victim'));
    writeFileSync(join(dir, 'victim/secret'), 'before');
    store = await openContentStore(join(dir, 'store'));
  });

  afterEach(async () => {
    rmSync(dir, { recursive: true, force: true });
    await store[Symbol.asyncDispose]();
  });

  /** Everything in a folder, with its content, so that any effect shows. */
  const snapshot = (root: string): string[] =>
    readdirSync(root, { recursive: true, withFileTypes: true })
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        return entry.isFile() ? `${path}=${readFileSync(path, 'utf8')}` : path;
      })
      .sort();

  /** No layer, no temporary file, no blob, nothing changed beside the store. */
  const expectNoEffect = (before: readonly string[]): void => {
    expect(readdirSync(join(store.dir, 'layers'))).toEqual([]);
    const sessions = readdirSync(join(store.dir, 'tmp'));
    expect(sessions).toHaveLength(1);
    expect(readdirSync(join(store.dir, 'tmp', sessions[0] ?? ''))).toEqual([]);
    expect(readdirSync(join(store.dir, 'artifacts'))).toEqual([]);
    expect(snapshot(join(dir, 'victim'))).toEqual(before);
    expect(existsSync(join(dir, 'escaped'))).toBe(false);
    expect(existsSync('/tmp/provost-escaped')).toBe(false);
  };

  const expectRefused = async (reference: string, code: string, limits: UnpackLimits = unpackLimits): Promise<void> => {
    const before = snapshot(join(dir, 'victim'));
    await expect(resolveArtifact(parseReference(reference), { store, limits })).rejects.toMatchObject({ code });
    expectNoEffect(before);
  };

  const layoutOf = (layer: readonly TarInput[] | Buffer, compression: 'none' | 'gzip' | 'zstd' = 'none'): string => {
    const layout = join(dir, 'layout');
    writeOciLayout({ dir: layout, layers: [layer], compression });
    return `oci:${layout}`;
  };

  const file = (path: string, content = 'x'): TarInput => ({ path, type: 'file', content });
  const link = (path: string, linkPath: string): TarInput => ({ path, type: 'symlink', linkPath });
  const hard = (path: string, linkPath: string): TarInput => ({ path, type: 'hardlink', linkPath });

  const HOSTILE: readonly (readonly [string, readonly TarInput[], string?])[] = [
    ['a name that climbs out', [file('../../../../../../escaped')]],
    ['a name that climbs out from the middle', [file('a/../../escaped')]],
    ['an absolute name', [file('/tmp/provost-escaped')]],
    ['a folder that climbs out', [{ path: '../escaped', type: 'directory' }]],
    ['a file through an absolute symlink', [link('out', '/tmp'), file('out/provost-escaped')]],
    ['a file through a relative symlink', [link('out', '../../../..'), file('out/escaped')]],
    ['a folder through a symlink', [link('out', '/tmp'), { path: 'out/provost-escaped', type: 'directory' }]],
    ['a symlink over a folder with content', [file('a/b'), link('a', '/tmp'), file('a/provost-escaped')]],
    ['a file over a symlink', [link('a', '/tmp/provost-escaped'), file('a')]],
    ['a folder over a symlink', [link('a', '/tmp'), { path: 'a', type: 'directory' }]],
    ['a symlink through a symlink', [link('a', '/tmp'), link('a/provost-escaped', '/etc')]],
    ['a hard link to a file of the host', [hard('passwd', '/etc/passwd')]],
    ['a hard link that climbs out', [hard('x', '../../victim/secret')]],
    ['a hard link to what is not there', [hard('x', 'etc/passwd')]],
    ['a hard link to a folder', [{ path: 'd', type: 'directory' }, hard('x', 'd')]],
    ['a hard link through a symlink', [link('out', '/etc'), hard('x', 'out/passwd')]],
    ['a write through a hard link to a symlink', [link('a', '/tmp/provost-escaped'), hard('b', 'a'), file('b')]],
    ['a file below a file', [file('a'), file('a/b')]],
    ['a file twice', [file('a', '1'), file('a', '2')]],
    ['a file twice under two spellings', [file('d/a', '1'), file('./d//a', '2')]],
    ['a folder and then a file of its name', [{ path: 'a', type: 'directory' }, file('a')]],
    ['a file in place of the root', [file('.')]],
    ['a symlink in place of the root', [link('./', '/tmp')]],
    ['a character device', [{ path: 'dev/mem', type: 'char-device' }]],
    ['a block device', [{ path: 'dev/sda', type: 'block-device' }]],
    ['a whiteout in the form of the kernel', [{ path: 'bin', type: 'char-device', mode: 0 }]],
    ['a whiteout that hides the folder above', [file('a/.wh...', '')]],
    ['a whiteout that hides its own folder', [file('a/.wh..', '')]],
    ['a whiteout without a name', [file('.wh.', '')]],
    ['a whiteout with content', [file('.wh.a', 'x')]],
    ['a whiteout through a symlink', [link('out', '/tmp'), file('out/.wh.x', '')]],
    ['an opaque mark through a symlink', [link('out', '/tmp'), file('out/.wh..wh..opq', '')]],
    ['a name with NUL', [file('a\0b')]],
    [
      'an attribute that steers overlayfs',
      [{ ...file('a'), attributes: new Map([['trusted.overlay.redirect', Buffer.from('/etc')]]) }],
    ],
    [
      'capabilities that are none',
      [{ ...file('a'), attributes: new Map([['security.capability', Buffer.from('all')]]) }],
    ],
    [
      'more attributes than the disk keeps',
      [{ ...file('a'), attributes: new Map([['user.a', Buffer.alloc(4000, 'x')]]) }],
      'ARTIFACT_TOO_LARGE',
    ],
    ['an owner that chown takes for "leave it"', [{ ...file('a'), uid: 0xff_ff_ff_ff }]],
    ['an owner beyond 32 bits', [{ ...file('a'), gid: 2 ** 40 }]],
    ['a name too long for the kernel', [file('n'.repeat(256))], 'ARTIFACT_TOO_LARGE'],
    ['a path too long for the kernel', [file('dir/'.repeat(1200))], 'ARTIFACT_TOO_LARGE'],
    ['folders nested too deep', [file(`${'d/'.repeat(200)}f`)], 'ARTIFACT_TOO_LARGE'],
  ];

  describe('an image whose layer holds', () => {
    for (const [what, entries, code = 'ARTIFACT_HOSTILE'] of HOSTILE) {
      test(`${what} is refused`, () => expectRefused(layoutOf(entries), code));
    }
  });

  test('the nearest harmless neighbours of those are accepted (root)', async () => {
    const neighbours: TarInput[] = [
      link('out', '/tmp/provost-escaped'),
      link('up', '../../../..'),
      file('d/..a'),
      { path: 'd', type: 'directory', mode: 0o700 },
      { path: './', type: 'directory' },
      hard('again', 'd/..a'),
      file(`${'d/'.repeat(127)}f`),
      file('n'.repeat(255)),
      { ...file('owned'), uid: 0xff_ff_ff_fe },
    ];
    const artifact = await resolveArtifact(parseReference(layoutOf(neighbours)), { store });
    expect(readdirSync(artifact.layers[0]?.dir ?? '').sort()).toEqual(
      ['again', 'd', 'n'.repeat(255), 'out', 'owned', 'up'].sort(),
    );
    expect(existsSync('/tmp/provost-escaped')).toBe(false);
  });

  const SMALL = tarOf([
    { path: 'd', type: 'directory' },
    file('d/a', 'a'.repeat(700)),
    { ...file('long/'.repeat(40) + 'name'), attributes: new Map([['user.x', Buffer.from('y')]]) },
    link('l', 'd/a'),
  ]);

  test('a layer that is cut at any block is refused', async () => {
    expect(SMALL.length / 512).toBeGreaterThan(8);
    for (let bytes = 0; bytes < SMALL.length; bytes += 512)
      await expectRefused(layoutOf(SMALL.subarray(0, bytes)), 'ARTIFACT_HOSTILE');
  });

  test('a layer that is cut within a block is refused', async () => {
    for (const bytes of [1, 511, 513, 1500, SMALL.length - 1]) {
      await expectRefused(layoutOf(SMALL.subarray(0, bytes)), 'ARTIFACT_HOSTILE');
    }
  });

  test.each(['gzip', 'zstd'] as const)(
    'a %s stream that is cut, damaged or goes on is refused',
    async (compression) => {
      const whole = compression === 'gzip' ? gzipSync(SMALL) : zstdCompressSync(SMALL);
      const damaged = Buffer.from(whole);
      damaged.writeUInt32BE(0xdeadbeef, Math.floor(whole.length / 2));
      const streams = [
        whole.subarray(0, -9),
        whole.subarray(0, 20),
        damaged,
        Buffer.concat([whole, Buffer.from('and more')]),
      ];
      for (const stream of streams)
        await expectRefused(layoutWith(stream, digestOf(SMALL), compression), 'ARTIFACT_HOSTILE');
    },
  );

  test('an archive after the end of the archive is refused', async () => {
    await expectRefused(layoutOf(Buffer.concat([SMALL, tarOf([file('late')])])), 'ARTIFACT_HOSTILE');
    await expectRefused(layoutOf(Buffer.concat([SMALL.subarray(0, -512), tarOf([file('late')])])), 'ARTIFACT_HOSTILE');
  });

  test('a header with a wrong checksum, and a number that overflows, are refused', async () => {
    const damaged = Buffer.from(SMALL);
    damaged[0] = 0x65;
    await expectRefused(layoutOf(damaged), 'ARTIFACT_HOSTILE');
    const overflowing = Buffer.from(SMALL);
    overflowing.fill(0xff, 124, 136);
    resum(overflowing);
    await expectRefused(layoutOf(overflowing), 'ARTIFACT_HOSTILE');
  });

  /** Makes the checksum of the first header right again. */
  const resum = (tar: Buffer): void => {
    tar.fill(0x20, 148, 156);
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  };

  const withFlag = (flag: string, content: Buffer): Buffer => {
    const tar = tarOf([{ path: 'header', type: 'file', content }]);
    tar.write(flag, 156, 'latin1');
    resum(tar);
    return Buffer.concat([tar.subarray(0, -1024), tarOf([file('after')])]);
  };

  test.each([
    ['a huge pax header', withFlag('x', Buffer.alloc(2 * MIB, 'x')), 'ARTIFACT_TOO_LARGE'],
    ['a huge long name', withFlag('L', Buffer.alloc(2 * MIB, 'x')), 'ARTIFACT_TOO_LARGE'],
    ['a pax record longer than its header', withFlag('x', Buffer.from('99 path=a\n')), 'ARTIFACT_HOSTILE'],
    ['a pax record of no length', withFlag('x', Buffer.from('0 path=a\n')), 'ARTIFACT_HOSTILE'],
    ['a pax size that is negative', withFlag('x', Buffer.from('11 size=-1\n')), 'ARTIFACT_HOSTILE'],
    ['a pax size beyond the archive', withFlag('x', Buffer.from('20 size=99999999999\n')), 'ARTIFACT_HOSTILE'],
    ['a pax path that climbs out', withFlag('x', Buffer.from('22 path=../../escaped\n')), 'ARTIFACT_HOSTILE'],
    ['a global header that renames everything', withFlag('g', Buffer.from('18 path=elsewhere\n')), 'ARTIFACT_HOSTILE'],
    ['a long name that climbs out', withFlag('L', Buffer.from('../../escaped\0')), 'ARTIFACT_HOSTILE'],
    ['a sparse file', withFlag('x', Buffer.from('22 GNU.sparse.major=1\n')), 'ARTIFACT_UNSUPPORTED'],
    ['an entry of an unknown type', withFlag('V', Buffer.alloc(0)), 'ARTIFACT_UNSUPPORTED'],
  ])('%s is refused', async (_, tar, code) => {
    await expectRefused(layoutOf(tar), code);
  });

  test.each(['gzip', 'zstd'] as const)('a %s bomb is refused long before it is unpacked', async (compression) => {
    const limits = { ...unpackLimits, ratioFreeBytes: MIB, ratioMax: 50 };
    await expectRefused(
      layoutOf([{ path: 'zeros', type: 'file', content: Buffer.alloc(24 * MIB) }], compression),
      'ARTIFACT_HOSTILE',
      limits,
    );
  });

  test('a layer beyond the limit of bytes is refused, and one of entries, also of folders that none describes', async () => {
    await expectRefused(layoutOf([file('a', 'x'.repeat(3 * MIB))]), 'ARTIFACT_TOO_LARGE', {
      ...unpackLimits,
      layerBytesMax: MIB,
    });
    const many = Array.from({ length: 50 }, (_, index) => file(`f${index}`));
    await expectRefused(layoutOf(many), 'ARTIFACT_TOO_LARGE', { ...unpackLimits, entriesMax: 49 });
    const deep = [file(`${'x/'.repeat(100)}f`), file('g')];
    await expectRefused(layoutOf(deep), 'ARTIFACT_TOO_LARGE', { ...unpackLimits, entriesMax: 49 });
  });

  /** A layout whose layer's bytes and diff id are chosen freely; its digests and sizes are right. */
  const layoutWith = (blob: Buffer, diffId: Digest, compression: 'gzip' | 'zstd' | 'none'): string => {
    const layout = join(dir, 'made');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    const put = (bytes: Buffer | string) => {
      writeFileSync(join(layout, 'blobs/sha256', hexOf(digestOf(bytes))), bytes);
      return { digest: digestOf(bytes), size: Buffer.byteLength(bytes) };
    };
    const mediaType = `application/vnd.oci.image.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}`;
    const config = put(JSON.stringify({ rootfs: { type: 'layers', diff_ids: [diffId] } }));
    const manifest = put(JSON.stringify({ config, layers: [{ mediaType, ...put(blob) }] }));
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ manifests: [manifest] }));
    writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    return `oci:${layout}`;
  };

  test('a layer whose uncompressed bytes are not those of the config is refused', async () => {
    await expectRefused(layoutWith(gzipSync(SMALL), digestOf('other'), 'gzip'), 'ARTIFACT_DIGEST');
  });

  test('a blob that was changed, cut or lengthened is refused, whichever it is', async () => {
    const { layers, manifestDigest, configDigest } = writeOciLayout({
      dir: join(dir, 'layout'),
      layers: [SMALL],
      compression: 'gzip',
    });
    for (const digest of [layers[0]?.digest ?? manifestDigest, configDigest, manifestDigest]) {
      const path = join(dir, 'layout/blobs/sha256', hexOf(digest));
      const good = readFileSync(path);
      const changed = Buffer.from(good);
      changed.writeUInt8((changed[changed.length - 1] ?? 0) ^ 1, changed.length - 1);
      for (const bad of [changed, good.subarray(0, -1), Buffer.concat([good, Buffer.from(' ')])]) {
        writeFileSync(path, bad);
        await expectRefused(`oci:${dir}/layout`, 'ARTIFACT_DIGEST');
      }
      writeFileSync(path, good);
    }
  });

  test('a blob that is a symlink to a file of the host, or to a device, is not read', async () => {
    const { manifestDigest } = writeOciLayout({ dir: join(dir, 'layout'), layers: [SMALL] });
    const path = join(dir, 'layout/blobs/sha256', hexOf(manifestDigest));
    for (const target of ['/etc/passwd', '/dev/zero']) {
      rmSync(path);
      execFileSync('ln', ['-s', target, path]);
      await expectRefused(`oci:${dir}/layout`, 'ARTIFACT_UNREADABLE');
    }
  });

  test('a document that is manifest and index at once is refused', async () => {
    const layout = join(dir, 'layout');
    writeOciLayout({ dir: layout, layers: [SMALL] });
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ manifests: [], layers: [], config: {} }));
    await expectRefused(`oci:${layout}`, 'ARTIFACT_UNREADABLE');
  });

  test('a docker-archive that is cut at any block, or whose config lies about its name, is refused', async () => {
    const config = JSON.stringify({ rootfs: { type: 'layers', diff_ids: [digestOf(SMALL)] } });
    const name = `${hexOf(digestOf(config))}.json`;
    const archive = (configText: string): Buffer =>
      tarOf([
        file(name, configText),
        { path: 'layer.tar', type: 'file', content: SMALL },
        file('manifest.json', JSON.stringify([{ Config: name, RepoTags: ['a:b'], Layers: ['layer.tar'] }])),
      ]);
    const path = join(dir, 'saved.tar');
    const whole = archive(config);
    for (let bytes = 512; bytes < whole.length; bytes += 512) {
      writeFileSync(path, whole.subarray(0, bytes));
      await expectRefused(`docker-archive:${path}`, 'ARTIFACT_HOSTILE');
      await expectRefused(path, 'ARTIFACT_HOSTILE');
    }
    writeFileSync(path, archive(config.replace('layers', 'layers ')));
    await expectRefused(`docker-archive:${path}`, 'ARTIFACT_DIGEST');
  });

  test('a file system that is full ends with one clear error and nothing left behind (root)', async () => {
    const small = join(dir, 'small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'provost-test', small]);
    try {
      await using full = await openContentStore(join(small, 'store'));
      const reference = parseReference(layoutOf([{ path: 'big', type: 'file', content: Buffer.alloc(6 * MIB, 'x') }]));
      await expect(resolveArtifact(reference, { store: full })).rejects.toMatchObject({
        code: 'ARTIFACT_NO_SPACE',
        exit: 6,
      });
      expect(readdirSync(join(full.dir, 'layers'))).toEqual([]);
      const used = Number(execFileSync('df', ['--output=used', '-k', small], { encoding: 'utf8' }).split('\n')[1]);
      expect(used).toBeLessThan(100);
    } finally {
      execFileSync('umount', [small]);
    }
  });

  test('an image beyond the limit of bytes is refused, though each layer is within its own', async () => {
    const layout = join(dir, 'layout');
    const layers = ['a', 'b', 'c'].map((name) => [file(name, name.repeat(MIB))]);
    writeOciLayout({ dir: layout, layers });
    const limits = { ...unpackLimits, imageBytesMax: 2 * MIB };
    await expectRefused(`oci:${layout}`, 'ARTIFACT_TOO_LARGE', limits);
  });

  test('a hostile layer over a good one leaves the good one out too', async () => {
    const layout = join(dir, 'layout');
    writeOciLayout({ dir: layout, layers: [[file('good')], [file('../../escaped')]] });
    await expectRefused(`oci:${layout}`, 'ARTIFACT_HOSTILE');
    expect(readdirSync(join(store.dir, 'blobs/sha256'))).toEqual([]);
  });

  test('a process that is killed while it unpacks leaves nothing that the next opening does not remove', async () => {
    const files = Array.from({ length: 3000 }, (_, index) => file(`d/${index}`, 'x'.repeat(4096)));
    const reference = layoutOf(files, 'gzip');
    const door = join(import.meta.dirname, '../../src/artifact/index.ts');
    const script = `import { openContentStore, parseReference, resolveArtifact } from ${JSON.stringify(door)};
      const store = await openContentStore(${JSON.stringify(join(dir, 'other'))});
      await resolveArtifact(parseReference(${JSON.stringify(reference)}), { store, progress: () => process.kill(process.pid, 'SIGKILL') });`;
    const child = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], { encoding: 'utf8' });
    expect(child.signal).toBe('SIGKILL');
    const tmp = join(dir, 'other/tmp');
    const abandoned = readdirSync(tmp);
    expect(readdirSync(join(tmp, abandoned[0] ?? ''), { recursive: true }).length).toBeGreaterThan(10);
    await using reopened = await openContentStore(join(dir, 'other'));
    expect(readdirSync(tmp)).not.toContain(abandoned[0]);
    expect(readdirSync(join(reopened.dir, 'layers'))).toEqual([]);
    expect((await resolveArtifact(parseReference(reference), { store: reopened })).layers).toHaveLength(1);
  });
});
