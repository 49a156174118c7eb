// A small root of busybox, as a folder and as an image: something to run that every Debian host can make in milliseconds.
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageConfig, tarOfFolder, writeOciLayout } from '../src/artifact/index.ts';
import { findCommand } from './needs.ts';

const APPLETS = `sh cat dd echo sleep true false id rm seq ls head tty stty yes hostname mkdir nc httpd wget kill ps
  mount umount chmod ln touch wc tr date env grep test sync`.split(/\s+/);

/** Makes the root in `dir`: busybox, its applets, and two users, root and `app` (1000). */
export function makeBusyboxRoot(dir: string): string {
  const busybox = findCommand('busybox');
  if (busybox === null) throw new Error('busybox is not installed');
  for (const folder of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run', 'www'])
    mkdirSync(join(dir, folder), { recursive: true });
  chmodSync(join(dir, 'tmp'), 0o1777);
  copyFileSync(busybox, join(dir, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(dir, 'bin', applet));
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n');
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\napp:x:1000:\n');
  writeFileSync(join(dir, 'www/index.html'), 'it works\n');
  return dir;
}

export interface BusyboxImage {
  /** Folder of the OCI layout; `oci:DIR` names the image. */
  readonly dir: string;
  /** Makes another image: different bytes, a different digest. */
  readonly mark?: string;
  readonly config?: Partial<ImageConfig>;
}

/** Writes an image of busybox whose hygiene is spotless but for what `config` says. */
export function writeBusyboxImage({ dir, mark = '', config = {} }: BusyboxImage): void {
  const root = makeBusyboxRoot(join(dir, 'root'));
  writeFileSync(join(root, 'etc/mark'), `${mark}\n`);
  writeOciLayout({
    dir,
    layers: [tarOfFolder(root)],
    config: {
      user: 'app',
      cmd: ['sleep', '1000'],
      stopSignal: 'SIGKILL',
      createdMs: Date.now() - 3_600_000,
      ...config,
    },
  });
}
