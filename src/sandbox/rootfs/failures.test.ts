import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { needs } from '../../../test/needs.ts';
import { MIB } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { mountPointsUnder } from '../kernel/mount-table.ts';
import { type Kernel, openKernel } from '../kernel/syscall.ts';
import { openExt4Templates } from './ext4-template.ts';
import { openIdMappings } from './id-mapping.ts';
import { attachLoop } from './loop-device.ts';
import { openRootfs } from './rootfs.ts';

const ID_FIRST = 1_500_000;

function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'provost-rootfs-'));
  onTestFinished(() => {
    openRootfs(openKernel()).clear(dir);
    rmSync(dir, { recursive: true });
  });
  return dir;
}

/** The kernel of this host, but that one call is refused with `errno`. */
function refusing(call: keyof Kernel, errno: string): Kernel {
  const refuse = (): never => {
    throw new SandboxError('SANDBOX_SYSCALL', 'refused by the test', { details: { errno } });
  };
  return { ...openKernel(), [call]: refuse };
}

describe.skipIf(needs('root', 'mkfs.ext4'))('a root whose parts fail (root)', () => {
  it.each([['mount'], ['ioctlBuffer'], ['ioctl']] as const)(
    'leaves no writable layer when %s is refused',
    async (call) => {
      const dir = tempDir();
      using rootfs = openRootfs(refusing(call, 'EPERM'));
      const attempt = rootfs.makeWritableLayer({ dir, diskBytes: MIB, idRangeFirst: ID_FIRST });
      await expect(attempt).rejects.toThrow(SandboxError);
      expect(readdirSync(dir)).toEqual([]);
    },
  );

  it.each([['cloneTree'], ['setMountAttributes'], ['attachMount'], ['mount']] as const)(
    'leaves no mount when %s is refused',
    async (call) => {
      const dir = tempDir();
      using working = openRootfs(openKernel());
      const upper = await working.makeWritableLayer({ dir, diskBytes: MIB, idRangeFirst: ID_FIRST });
      using rootfs = openRootfs(refusing(call, 'EPERM'));
      const plan = {
        dir: join(dir, 'root'),
        copiesDir: join(dir, 'root.copies'),
        layerDirs: [dir],
        upper,
        idRangeFirst: ID_FIRST,
      };
      await expect(rootfs.mountRoot(plan)).rejects.toThrow(SandboxError);
      await upper.remove();
      expect(mountPointsUnder(dir)).toEqual([]);
      expect(readdirSync(dir)).toEqual([]);
    },
  );

  it('does not copy the root of the host', async () => {
    const dir = tempDir();
    using rootfs = openRootfs(refusing('setMountAttributes', 'EINVAL'));
    const upper = { upperDir: dir, workDir: dir, remove: () => Promise.resolve() };
    const plan = {
      dir: join(dir, 'root'),
      copiesDir: join(dir, 'root.copies'),
      layerDirs: ['/'],
      upper,
      idRangeFirst: ID_FIRST,
    };
    await expect(rootfs.mountRoot(plan)).rejects.toThrow(/moved owners/);
    expect(readdirSync(dir).filter((name) => name.startsWith('root'))).toEqual([]);
  });

  it('says so when a layer can neither be shown with other owners nor copied', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'file'), '');
    using rootfs = openRootfs(refusing('setMountAttributes', 'EINVAL'));
    const upper = { upperDir: dir, workDir: dir, remove: () => Promise.resolve() };
    const plan = {
      dir: join(dir, 'root'),
      copiesDir: join(dir, 'root.copies'),
      layerDirs: [join(dir, 'file')],
      upper,
      idRangeFirst: ID_FIRST,
    };
    await expect(rootfs.mountRoot(plan)).rejects.toThrow(
      expect.objectContaining({ code: 'SANDBOX_MOUNT', hint: expect.stringContaining('no copy is needed') }),
    );
    await expect(rootfs.mountRoot({ ...plan, layerDirs: [mkdtempSync(join(dir, 'l'))] })).rejects.toThrow(SandboxError);
    expect(readdirSync(dir).filter((name) => name.startsWith('root'))).toEqual([]);
  });

  it('leaves no mount when overlayfs refuses its folders', async () => {
    const dir = tempDir();
    using rootfs = openRootfs(openKernel());
    const upper = { upperDir: join(dir, 'none'), workDir: join(dir, 'none'), remove: () => Promise.resolve() };
    const plan = {
      dir: join(dir, 'root'),
      copiesDir: join(dir, 'root.copies'),
      layerDirs: [dir],
      upper,
      idRangeFirst: ID_FIRST,
    };
    await expect(rootfs.mountRoot(plan)).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_MOUNT' }));
    expect(readdirSync(dir)).toEqual([]);
  });

  it('waits for a mount that is in use for a moment, and says so when it stays', async () => {
    const dir = tempDir();
    using rootfs = openRootfs(openKernel());
    const source = join(dir, 'source');
    mkdirSync(source);
    const plan = { source, target: join(dir, 'volume'), idRangeFirst: ID_FIRST, readOnly: true };
    const volume = await rootfs.mountVolume(plan);
    const user = openSync(volume.path, 'r');
    await expect(volume.unmount()).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_MOUNT' }));
    const unmounted = volume.unmount();
    setImmediate(() => closeSync(user));
    await unmounted;
    expect(mountPointsUnder(dir)).toEqual([]);
  });

  it('does not take what lies in a mount point for its own', async () => {
    const dir = tempDir();
    using rootfs = openRootfs(openKernel());
    const source = join(dir, 'source');
    mkdirSync(source);
    const volume = await rootfs.mountVolume({ source, target: join(dir, 'v'), idRangeFirst: ID_FIRST, readOnly: true });
    await volume.unmount();
    mkdirSync(join(dir, 'v'));
    writeFileSync(join(dir, 'v/precious'), '');
    await expect(volume.unmount()).rejects.toThrow(expect.objectContaining({ code: 'SANDBOX_MOUNT' }));
    expect(readdirSync(join(dir, 'v'))).toEqual(['precious']);
  });
});

describe.skipIf(needs('root', 'mkfs.ext4'))('parts of a root that fail (root)', () => {
  it('refuses a range of ids that the kernel has not', () => {
    using mappings = openIdMappings(openKernel());
    expect(() => mappings.namespaceOf(2 ** 32 - 10)).toThrow(expect.objectContaining({ code: 'SANDBOX_MOUNT' }));
  });

  it('keeps one namespace for a range, however often it is asked for', () => {
    using mappings = openIdMappings(openKernel());
    expect(mappings.namespaceOf(ID_FIRST)).toBe(mappings.namespaceOf(ID_FIRST));
  });

  it('says that there is no loop device when none can be opened, or others take them all', () => {
    const image = join(tempDir(), 'image');
    writeFileSync(image, Buffer.alloc(4096));
    const kernel = openKernel();
    expect(() => attachLoop({ ...kernel, ioctl: () => 99_999 }, image, 4096)).toThrow(/loop99999 cannot be opened/);
    expect(() => attachLoop(refusing('ioctlBuffer', 'EBUSY'), image, 4096)).toThrow(/took the free device/);
    expect(() => attachLoop(refusing('ioctlBuffer', 'EINVAL'), image, 4096)).toThrow(
      expect.objectContaining({ code: 'SANDBOX_SYSCALL' }),
    );
  });

  it('says what to install when mkfs.ext4 does not work', async () => {
    const dir = tempDir();
    writeFileSync(join(dir, 'mkfs.ext4'), '#!/bin/sh\nexit 1\n');
    chmodSync(join(dir, 'mkfs.ext4'), 0o755);
    const path = process.env['PATH'];
    process.env['PATH'] = dir;
    onTestFinished(() => void (process.env['PATH'] = path));
    const attempt = openExt4Templates(openKernel()).writeImage(join(dir, 'image'), MIB);
    await expect(attempt).rejects.toThrow(expect.objectContaining({ hint: expect.stringContaining('e2fsprogs') }));
    expect(readdirSync(dir)).toEqual(['mkfs.ext4']);
  });

  it('refuses an image where none can be written, or one is there', async () => {
    const dir = tempDir();
    const templates = openExt4Templates(openKernel());
    const isMount = expect.objectContaining({ code: 'SANDBOX_MOUNT' });
    await expect(templates.writeImage(join(dir, 'gone/image'), MIB)).rejects.toThrow(isMount);
    await templates.writeImage(join(dir, 'image'), MIB);
    await expect(templates.writeImage(join(dir, 'image'), MIB)).rejects.toThrow(isMount);
    const broken = openExt4Templates(refusing('nextData', 'EINVAL'));
    await expect(broken.writeImage(join(dir, 'other'), MIB)).rejects.toThrow(SandboxError);
    expect(readdirSync(dir)).toEqual(['image']);
  });

  it('makes more sizes than it keeps', async () => {
    const dir = tempDir();
    const templates = openExt4Templates(openKernel());
    for (let n = 0; n < 18; n += 1) await templates.writeImage(join(dir, `image-${n}`), MIB + n * 4096);
    expect(readdirSync(dir).length).toBe(18);
  });
});
