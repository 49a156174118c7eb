// Makes v1 groups count what they read and write: the kernel counts only for disks that have a rule.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../base/index.ts';
import { controlError } from './control-file.ts';

/** A rule that is never reached: some exabytes a second. */
const NO_LIMIT = 2n ** 62n;
const RULE_FILES = ['blkio.throttle.read_bps_device', 'blkio.throttle.write_bps_device'];

/**
 * Gives a group of the v1 blkio hierarchy a rule for every disk, so that `blkio.throttle.io_service_bytes` counts.
 *
 * @param sysBlock the kernel's list of block devices, /sys/block
 * @throws SandboxError SANDBOX_CGROUP
 * @source Linux 6.10 and newer set up throttling, which counts, with the first rule: block/blk-throttle.c
 */
export function countIo(blkioFolder: string, sysBlock = '/sys/block'): void {
  const files = RULE_FILES.map((name) => join(blkioFolder, name)).filter((file) => existsSync(file));
  for (const device of disksIn(sysBlock)) for (const file of files) setRule(file, `${device} ${NO_LIMIT}`);
}

/** `major:minor` of each disk; what is built on disks (partitions, loops, volume groups) would count the same bytes again. */
function disksIn(sysBlock: string): readonly string[] {
  return readdirSync(sysBlock)
    .filter((name) => existsSync(join(sysBlock, name, 'device')))
    .map((name) => readFileSync(join(sysBlock, name, 'dev'), 'latin1').trim());
}

function setRule(file: string, rule: string): void {
  try {
    writeFileSync(file, rule);
  } catch (error) {
    const errno = errnoOf(error);
    // A disk that went away, or one whose driver cannot be throttled: it is not counted, and no limit depends on it.
    if (errno === 'ENODEV' || errno === 'EINVAL' || errno === 'EOPNOTSUPP') return;
    throw controlError(file, 'write', error);
  }
}
