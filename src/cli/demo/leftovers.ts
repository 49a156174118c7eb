// Everything on the host that names a home: what the demo looks for once it has cleaned up.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { errnoOf } from '../../base/index.ts';

const CGROUPS = '/sys/fs/cgroup';
/** Longer than nft takes to list the names of tables. */
const NFT_TIMEOUT_MS = 5000;

/** Looks for groups, mounts, loop devices, links, tables, folders and processes of a home. */
export function findLeftovers(home: { readonly dir: string; readonly id: string }): string[] {
  const { dir, id } = home;
  return [
    ...(existsSync(dir) ? [`folder ${dir}`] : []),
    ...['', ...namesIn(CGROUPS)]
      .map((name) => join(CGROUPS, name, 'provost', id))
      .filter((path) => existsSync(path))
      .map((path) => `group ${path}`),
    ...namesIn('/run/provost')
      .filter((name) => name.startsWith(`${id}-`))
      .map((name) => `folder /run/provost/${name}`),
    ...readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(dir) || line.includes(`/${id}-`))
      .map((line) => `mount ${line}`),
    ...namesIn('/sys/block')
      .filter((name) => contentOf(`/sys/block/${name}/loop/backing_file`).includes(dir))
      .map((name) => `loop device ${name}`),
    ...namesIn('/sys/class/net')
      .filter((name) => name.startsWith(`pv${id}`) || name.startsWith(`pi${id}`))
      .map((name) => `link ${name}`),
    ...tables().filter((line) => line.endsWith(` provost_${id}`)),
    ...namesIn('/proc')
      .filter((pid) => /^\d+$/.test(pid) && contentOf(`/proc/${pid}/cmdline`).includes(dir))
      .map((pid) => `process ${pid}`),
  ];
}

function namesIn(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

/** Empty for what is not there, or not any more. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'ENOTDIR', 'EINVAL'].includes(errnoOf(error) ?? '')) return '';
    throw error;
  }
}

function tables(): string[] {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const { stdout } = spawnSync('nft', ['list', 'tables'], {
    encoding: 'utf8',
    timeout: NFT_TIMEOUT_MS,
    env: { PATH: path },
  });
  return (stdout ?? '').split('\n');
}
