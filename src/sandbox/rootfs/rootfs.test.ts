import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { needs } from '../../../test/needs.ts';
import { MIB } from '../../base/index.ts';
import { mountPointsUnder, readMountTable } from '../kernel/mount-table.ts';
import { openKernel } from '../kernel/syscall.ts';
import { openRootfs, type Rootfs } from './rootfs.ts';
import { openLayerWrites, removeWritableLayer } from './writable-layer.ts';

const ID_FIRST = 1_500_000;

/** A folder of a test with a root file system over it; nothing of it is left when it is disposed of. */
class Stage implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'provost-rootfs-'));
  readonly #undo = new AsyncDisposableStack();

  layer(name: string, files: Readonly<Record<string, string>>): string {
    const dir = join(this.dir, name);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(dir, path, '..'), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    return dir;
  }

  async mount(rootfs: Rootfs, layerDirs: readonly string[], diskBytes = 64 * MIB): Promise<string> {
    const upper = await rootfs.makeWritableLayer({ dir: this.dir, diskBytes, idRangeFirst: ID_FIRST });
    this.#undo.defer(() => upper.remove());
    const root = await rootfs.mountRoot({
      dir: join(this.dir, 'root'),
      copiesDir: join(this.dir, 'root.copies'),
      layerDirs,
      upper,
      idRangeFirst: ID_FIRST,
    });
    this.#undo.defer(() => root.unmount());
    return root.dir;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
    const left = mountPointsUnder(this.dir);
    expect(left).toEqual([]);
    expect(loopDevicesOf(this.dir)).toEqual([]);
    expect(readdirSync(this.dir).filter((name) => /^(root|layer\b)/.test(name))).toEqual([]);
    rmSync(this.dir, { recursive: true });
  }
}

/** Loop devices over a file of `dir`; the kernel names the file, with `(deleted)` once it is gone. */
function loopDevicesOf(dir: string): readonly string[] {
  return readdirSync('/sys/block').filter((name) => {
    const file = `/sys/block/${name}/loop/backing_file`;
    return existsSync(file) && readFileSync(file, 'utf8').startsWith(dir);
  });
}

/** Runs a shell as the workload's root: with its ids, outside of any namespace. */
function asWorkload(script: string, cwd: string): string {
  return execFileSync('sh', ['-c', script], { cwd, uid: ID_FIRST, gid: ID_FIRST, encoding: 'utf8' });
}

describe.skipIf(needs('root', 'mkfs.ext4'))('the root of a workload (root)', () => {
  let rootfs: Rootfs;
  beforeAll(() => {
    rootfs = openRootfs(openKernel());
  });
  afterAll(() => rootfs[Symbol.dispose]());

  it('shows every layer, the highest first, owned by the workload', async () => {
    await using stage = new Stage();
    const low = stage.layer('low', { 'etc/name': 'low', 'etc/only-low': '1' });
    const high = stage.layer('high', { 'etc/name': 'high' });
    const root = await stage.mount(rootfs, [low, high]);
    expect(readFileSync(join(root, 'etc/name'), 'utf8')).toBe('high');
    expect(readFileSync(join(root, 'etc/only-low'), 'utf8')).toBe('1');
    for (const path of ['.', 'etc', 'etc/name']) {
      expect(statSync(join(root, path))).toMatchObject({ uid: ID_FIRST, gid: ID_FIRST });
    }
    expect(statSync(join(high, 'etc/name')).uid).toBe(0);
  });

  it('opens a file of mode 0600 of the image to the root of the workload', async () => {
    await using stage = new Stage();
    const layer = stage.layer('image', { secret: 'readable' });
    chmodSync(join(layer, 'secret'), 0o600);
    const root = await stage.mount(rootfs, [layer]);
    chmodSync(stage.dir, 0o755);
    chmodSync(root, 0o755);
    expect(asWorkload('cat secret', root)).toBe('readable');
  });

  it('takes writes of the workload and leaves the layers as they were', async () => {
    await using stage = new Stage();
    const layer = stage.layer('image', { 'bin/tool': 'old', 'bin/other': 'kept', 'tmp/x': '' });
    const root = await stage.mount(rootfs, [layer]);
    chmodSync(stage.dir, 0o755);
    asWorkload('echo new > bin/tool && rm bin/other && mkdir -p made/here && mv tmp/x made', root);
    expect(readdirSync(join(root, 'bin'))).toEqual(['tool']);
    expect(lstatSync(join(root, 'made')).uid).toBe(ID_FIRST);
    expect(readFileSync(join(layer, 'bin/tool'), 'utf8')).toBe('old');
    expect(readdirSync(layer).toSorted()).toEqual(['bin', 'tmp']);
    expect(readdirSync(join(layer, 'bin')).toSorted()).toEqual(['other', 'tool']);
  });

  it('hides what a higher layer deleted', async () => {
    await using stage = new Stage();
    const low = stage.layer('low', { 'etc/gone': 'x', 'etc/kept': 'x' });
    const high = stage.layer('high', { 'etc/more': 'x' });
    execFileSync('mknod', [join(high, 'etc/gone'), 'c', '0', '0']);
    const root = await stage.mount(rootfs, [low, high]);
    expect(readdirSync(join(root, 'etc')).toSorted()).toEqual(['kept', 'more']);
  });

  it('takes a layer that an image has twice, and as many as an image may have', async () => {
    await using stage = new Stage();
    const layers = Array.from({ length: 127 }, (_, n) =>
      stage.layer(`long-name-of-a-layer-${n}`, { [`file-${n}`]: '' }),
    );
    const root = await stage.mount(rootfs, [...layers, layers[0] ?? '']);
    expect(readdirSync(root).length).toBe(127);
  });

  it('shows a plain folder, and the root of the host without what is mounted below it', async () => {
    await using stage = new Stage();
    const root = await stage.mount(rootfs, ['/']);
    expect(readdirSync(join(root, 'proc'))).toEqual([]);
    expect(readdirSync(join(root, 'etc'))).toContain('passwd');
    expect(statSync(join(root, 'etc/passwd')).uid).toBe(ID_FIRST);
    writeFileSync(join(root, 'etc/passwd'), 'changed above');
    expect(readFileSync('/etc/passwd', 'utf8')).not.toContain('changed above');
  });

  it('knows no devices and no set-user-id files', async () => {
    await using stage = new Stage();
    const root = await stage.mount(rootfs, [stage.layer('image', { a: '' })]);
    const shown = readMountTable().find(({ mountPoint }) => mountPoint === root);
    expect(shown?.type).toBe('overlay');
    const flags = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.includes(` ${root} `));
    expect(flags).toMatch(/nosuid,nodev/);
  });

  it('is refused without a layer, and when a layer is not there; nothing is left', async () => {
    await using stage = new Stage();
    await expect(stage.mount(rootfs, [])).rejects.toThrow(/1 to 128 layers/);
    await using other = new Stage();
    await expect(other.mount(rootfs, [join(other.dir, 'gone')])).rejects.toThrow(
      expect.objectContaining({ code: 'SANDBOX_MOUNT' }),
    );
    expect(readdirSync(other.dir).toSorted()).toEqual(['layer', 'layer.ext4']);
  });

  it('copies layers of a file system that cannot show other owners, with all that they mean', async () => {
    await using stage = new Stage();
    const memory = join(stage.dir, 'memory');
    mkdirSync(memory);
    openKernel().mount({ source: 'none', target: memory, type: 'ramfs', flags: 0, data: '' });
    using _memory = { [Symbol.dispose]: () => rootfs.clear(memory) };
    const low = join(memory, 'low');
    const high = join(memory, 'high');
    for (const path of [join(low, 'etc'), join(high, 'etc')]) mkdirSync(path, { recursive: true });
    for (const name of ['gone', 'kept', 'owned', 'far']) writeFileSync(join(low, 'etc', name), name);
    linkSync(join(low, 'etc/kept'), join(low, 'etc/linked'));
    symlinkSync('/etc/shadow', join(low, 'etc/out'));
    chownSync(join(low, 'etc/owned'), 33, 34);
    chownSync(join(low, 'etc/far'), 70_000, 70_000);
    execFileSync('mknod', [join(high, 'etc/gone'), 'c', '0', '0']);
    const root = await stage.mount(rootfs, [low, high]);
    expect(readdirSync(join(root, 'etc')).toSorted()).toEqual(['far', 'kept', 'linked', 'out', 'owned']);
    const owner = (name: string) => [lstatSync(join(root, 'etc', name)).uid, lstatSync(join(root, 'etc', name)).gid];
    for (const name of ['.', 'kept', 'linked', 'out']) expect(owner(name)).toEqual([ID_FIRST, ID_FIRST]);
    expect(owner('owned')).toEqual([ID_FIRST + 33, ID_FIRST + 34]);
    expect(owner('far')).toEqual([ID_FIRST + 65_534, ID_FIRST + 65_534]);
    expect(statSync('/etc/shadow').uid).toBe(0);
    expect(statSync(join(low, 'etc/kept')).uid).toBe(0);
  });

  it('can be unmounted twice', async () => {
    await using stage = new Stage();
    const upper = await rootfs.makeWritableLayer({ dir: stage.dir, diskBytes: 4 * MIB, idRangeFirst: ID_FIRST });
    const layerDirs = [stage.layer('image', { a: '' })];
    const root = await rootfs.mountRoot({
      dir: join(stage.dir, 'root'),
      copiesDir: join(stage.dir, 'copies'),
      layerDirs,
      upper,
      idRangeFirst: ID_FIRST,
    });
    await root.unmount();
    await root.unmount();
    await upper.remove();
    await upper.remove();
  });
});

describe.skipIf(needs('root', 'mkfs.ext4'))('a writable layer (root)', () => {
  let rootfs: Rootfs;
  beforeAll(() => {
    rootfs = openRootfs(openKernel());
  });
  afterAll(() => rootfs[Symbol.dispose]());

  it('holds no more than the disk grant, whatever is written', async () => {
    await using stage = new Stage();
    const root = await stage.mount(rootfs, [stage.layer('image', { a: '' })], 32 * MIB);
    chmodSync(stage.dir, 0o755);
    expect(() => asWorkload('exec dd if=/dev/zero of=big bs=64k count=1024 2>/dev/null', root)).toThrow();
    const { size } = statSync(join(root, 'big'));
    expect(size).toBeLessThan(32 * MIB);
    expect(size).toBeGreaterThan(24 * MIB);
    const image = statSync(join(stage.dir, 'layer.ext4'));
    expect(image.size).toBe(32 * MIB);
    expect(image.blocks * 512).toBeLessThanOrEqual(32 * MIB + 64 * 1024);
  });

  it('holds no more files than fit, so that inodes of the host cannot be used up', async () => {
    await using stage = new Stage();
    const root = await stage.mount(rootfs, [stage.layer('image', { a: '' })], MIB);
    chmodSync(stage.dir, 0o755);
    expect(() =>
      asWorkload('i=0; while [ $i -lt 4096 ]; do : > f$i || exit 1; i=$((i + 1)); done 2>/dev/null', root),
    ).toThrow();
  });

  it('is taken away whole also when its maker was killed while it made the file system', async () => {
    await using stage = new Stage();
    const commands = stage.layer('commands', { 'mkfs.ext4': '#!/bin/sh\nkill -9 $PPID\n' });
    chmodSync(join(commands, 'mkfs.ext4'), 0o755);
    const dir = join(stage.dir, 'scratch');
    mkdirSync(dir);
    const module = (name: string): string => JSON.stringify(new URL(name, import.meta.url).href);
    const script = `
      const { openRootfs } = await import(${module('./rootfs.ts')});
      const { openKernel } = await import(${module('../kernel/syscall.ts')});
      const plan = { dir: ${JSON.stringify(dir)}, diskBytes: ${32 * MIB}, idRangeFirst: ${ID_FIRST} };
      await openRootfs(openKernel()).makeWritableLayer(plan);`;
    const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, PATH: `${commands}:${process.env['PATH'] ?? ''}` },
    });
    expect(signal).toBe('SIGKILL');
    expect(readdirSync(dir)).not.toEqual([]);
    await removeWritableLayer(openKernel(), dir);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('takes up only what was written to it', async () => {
    await using stage = new Stage();
    await stage.mount(rootfs, [stage.layer('image', { a: '' })], 1024 * MIB);
    expect(statSync(join(stage.dir, 'layer.ext4')).blocks * 512).toBeLessThan(MIB);
  });

  it('counts what is written to it, when that reaches its device', async () => {
    await using stage = new Stage();
    const root = await stage.mount(rootfs, [stage.layer('image', { a: '' })]);
    using writes = openLayerWrites(stage.dir);
    expect(writes.bytes()).toBe(0);
    writeFileSync(join(root, 'a'), Buffer.alloc(8 * MIB, 1));
    execFileSync('sync', ['-f', join(stage.dir, 'layer')]);
    expect(writes.bytes()).toBeGreaterThanOrEqual(8 * MIB);
    using nothing = openLayerWrites(join(stage.dir, 'gone'));
    expect(nothing.bytes()).toBe(0);
  });

  it('is a sound file system', async () => {
    await using stage = new Stage();
    const upper = await rootfs.makeWritableLayer({ dir: stage.dir, diskBytes: 64 * MIB, idRangeFirst: ID_FIRST });
    writeFileSync(join(upper.upperDir, 'a'), Buffer.alloc(MIB, 1));
    // Hard-linked aside, the image outlives the layer.
    execFileSync('ln', [join(stage.dir, 'layer.ext4'), join(stage.dir, 'kept')]);
    await upper.remove();
    expect(
      execFileSync('/usr/sbin/e2fsck', ['-fn', join(stage.dir, 'kept')], { encoding: 'utf8', stdio: 'pipe' }),
    ).toMatch(/clean|files/);
  });

  it('is refused where the disk has not that much, or when it would hold nothing', async () => {
    await using stage = new Stage();
    for (const diskBytes of [2 ** 50, 4096]) {
      const attempt = rootfs.makeWritableLayer({ dir: stage.dir, diskBytes, idRangeFirst: ID_FIRST });
      await expect(attempt).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_NO_SPACE', exit: 6 }));
    }
    expect(readdirSync(stage.dir)).toEqual([]);
  });

  it('is refused when the disk is full, and leaves nothing', async () => {
    await using stage = new Stage();
    const small = join(stage.dir, 'small');
    mkdirSync(small);
    const kernel = openKernel();
    kernel.mount({ source: 'none', target: small, type: 'tmpfs', flags: 0, data: 'size=2m' });
    try {
      writeFileSync(join(small, 'filler'), Buffer.alloc(2 * MIB - 64 * 1024));
      const plan = { dir: small, diskBytes: MIB, idRangeFirst: ID_FIRST };
      await expect(rootfs.makeWritableLayer(plan)).rejects.toThrow(
        expect.objectContaining({ code: 'SANDBOX_NO_SPACE' }),
      );
      expect(readdirSync(small)).toEqual(['filler']);
    } finally {
      rootfs.clear(small);
    }
  });
});

describe.skipIf(needs('root'))('a volume (root)', () => {
  let rootfs: Rootfs;
  beforeAll(() => {
    rootfs = openRootfs(openKernel());
  });
  afterAll(() => rootfs[Symbol.dispose]());

  it('shows what is owned by root on the host as owned by the root of the workload, both ways', async () => {
    await using stage = new Stage();
    const source = stage.layer('source', { given: 'by the host' });
    const target = join(stage.dir, 'volumes/0');
    const volume = await rootfs.mountVolume({ source, target, idRangeFirst: ID_FIRST, readOnly: false });
    for (const dir of [stage.dir, join(stage.dir, 'volumes')]) chmodSync(dir, 0o755);
    asWorkload('echo made > made && cat given', volume.path);
    expect(statSync(join(volume.path, 'given')).uid).toBe(ID_FIRST);
    expect(statSync(join(source, 'made')).uid).toBe(0);
    await volume.unmount();
    await volume.unmount();
    expect(readdirSync(join(stage.dir, 'volumes'))).toEqual([]);
  });

  it('is not written when it is read-only', async () => {
    await using stage = new Stage();
    const source = stage.layer('source', { given: '' });
    const target = join(stage.dir, 'volume');
    const volume = await rootfs.mountVolume({ source, target, idRangeFirst: ID_FIRST, readOnly: true });
    expect(() => writeFileSync(join(volume.path, 'given'), 'x')).toThrow(/EROFS/);
    await volume.unmount();
  });

  it('may be a single file', async () => {
    await using stage = new Stage();
    const source = join(stage.layer('source', { conf: 'x' }), 'conf');
    const target = join(stage.dir, 'volume');
    const volume = await rootfs.mountVolume({ source, target, idRangeFirst: ID_FIRST, readOnly: true });
    expect(statSync(volume.path).uid).toBe(ID_FIRST);
    await volume.unmount();
    expect(existsSync(target)).toBe(false);
  });

  it('is refused when it is not there, and on a file system without owners to move; nothing is left', async () => {
    await using stage = new Stage();
    for (const source of [join(stage.dir, 'gone'), '/proc/sys']) {
      const plan = { source, target: join(stage.dir, 'volume'), idRangeFirst: ID_FIRST, readOnly: true };
      await expect(rootfs.mountVolume(plan)).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_MOUNT' }));
    }
    expect(readdirSync(stage.dir)).toEqual([]);
  });

  it('left by a supervisor that is gone is cleared away', async () => {
    await using stage = new Stage();
    const source = stage.layer('source', { given: '' });
    await rootfs.mountVolume({ source, target: join(stage.dir, 'volume'), idRangeFirst: ID_FIRST, readOnly: true });
    rootfs.clear(stage.dir);
    expect(mountPointsUnder(stage.dir)).toEqual([]);
  });

  it('is cleared away by a name with a link in it too, and clearing nothing is fine', async () => {
    await using stage = new Stage();
    const source = stage.layer('source', { given: '' });
    const target = join(stage.dir, 'run/volume');
    await rootfs.mountVolume({ source, target, idRangeFirst: ID_FIRST, readOnly: false });
    symlinkSync(join(stage.dir, 'run'), join(stage.dir, 'link'));
    rootfs.clear(join(stage.dir, 'link'));
    expect(mountPointsUnder(stage.dir)).toEqual([]);
    rootfs.clear(join(stage.dir, 'gone'));
  });
});
