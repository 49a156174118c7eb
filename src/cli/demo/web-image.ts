// The images of the demo: busybox's web server with a page, and in the bad revision a page that makes it turn bad.
import { readFileSync } from 'node:fs';

import { writeOciLayout } from '../../engine/index.ts';

/** Port inside; above 1024, since it does not run as root. */
export const WEB_PORT = 8080;
/** Large enough that 10 Mbit/s take more than a second to carry it, so that the rate can be measured. */
export const LARGE_PAGE_BYTES = 2 * 1024 * 1024;
export const LARGE_PAGE = '/large.bin';
/** Asked for this page, the bad revision turns bad. */
export const TURN_PAGE = '/cgi-bin/turn';

const APPLETS = ['sh', 'httpd', 'cat', 'nc', 'seq', 'sleep'];
const APP_ID = 1000;
/** An image without a date has no age, and a fresh one is as good as it gets. */
const AGE_MS = 60_000;

/**
 * What the bad revision does, all of it within its own sandbox: it reads credentials, asks the ports of the cloud's metadata address (which
 * Provost keeps out of reach of all workloads, so that no packet leaves the host), starts processes until the kernel refuses,
 * and burns all CPU that it gets.
 */
const TURN_SCRIPT = `#!/bin/sh
deeds() {
  cat /etc/shadow /tmp/.ssh/id_ed25519
  for port in $(seq 1 24); do nc -w 1 169.254.169.254 $port & done
  ( for n in $(seq 1 80); do sleep 60 & done )
  ( for n in $(seq 1 80); do sleep 60 & done )
  while :; do :; done
}
printf 'Content-Type: text/plain\\r\\n\\r\\nturned\\n'
exec >/dev/null 2>&1 </dev/null
deeds &
`;

export interface WebImage {
  /** Folder of the OCI layout. */
  readonly dir: string;
  readonly busybox: string;
  readonly revision: number;
  readonly turnsBad: boolean;
  /** A label that makes other bytes, so another digest, of the same program. */
  readonly label: string;
}

/** Writes one image; `oci:DIR` names it. */
export function writeWebImage({ dir, busybox, revision, turnsBad, label }: WebImage): void {
  const folders = ['bin', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'www', 'www/cgi-bin'];
  const turn = { path: `www${TURN_PAGE}`, type: 'file', mode: 0o755, content: TURN_SCRIPT } as const;
  writeOciLayout({
    dir,
    layers: [
      [
        ...folders.map((path) => ({ path, type: 'directory', mode: path === 'tmp' ? 0o1777 : 0o755 }) as const),
        { path: 'bin/busybox', type: 'file', mode: 0o755, content: readFileSync(busybox) },
        ...APPLETS.map((name) => ({ path: `bin/${name}`, type: 'symlink', linkPath: 'busybox' }) as const),
        {
          path: 'etc/passwd',
          type: 'file',
          content: `root:x:0:0:root:/:/bin/sh\napp:x:${APP_ID}:${APP_ID}::/tmp:/bin/sh\n`,
        },
        { path: 'etc/group', type: 'file', content: `root:x:0:\napp:x:${APP_ID}:\n` },
        // Locked accounts: there is nothing to steal, but a web server has no business in it.
        { path: 'etc/shadow', type: 'file', mode: 0o640, gid: APP_ID, content: 'root:*:20000:0:99999:7:::\n' },
        { path: 'www/index.html', type: 'file', content: `revision ${revision}\n` },
        { path: `www${LARGE_PAGE}`, type: 'file', content: Buffer.alloc(LARGE_PAGE_BYTES) },
        ...(turnsBad ? [turn] : []),
      ],
    ],
    config: {
      user: 'app',
      env: ['PATH=/bin'],
      cmd: ['/bin/httpd', '-f', '-p', String(WEB_PORT), '-h', '/www'],
      // httpd as the first process of its sandbox has no handler for SIGTERM.
      stopSignal: 'SIGKILL',
      createdMs: Date.now() - AGE_MS,
      labels: { demo: label },
    },
  });
}
