import { describe, expect, it } from 'vitest';
import { SandboxError } from '../driver.ts';
import { findCgroupLayout, parseCgroupLayout } from './layout.ts';

const ROOT = '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard';

/** Every v1 controller alone, and an empty v2 tree: as some cloud images mount them. */
const SEPARATE = {
  mountinfo: [
    ROOT,
    '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu',
    '33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct',
    '35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
    '39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids',
    '40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd',
    '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
  ].join('\n'),
  procCgroup: '9:name=systemd:/\n8:pids:/\n4:memory:/user/1\n2:cpuacct:/\n1:cpu:/\n0::/\n',
};

/** Debian 10 under systemd in hybrid mode: some hierarchies hold two controllers. */
const SYSTEMD_HYBRID = {
  mountinfo: [
    ROOT,
    '30 25 0:26 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate',
    '31 25 0:27 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd',
    '36 25 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:16 - cgroup cgroup rw,cpu,cpuacct',
    '37 25 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:17 - cgroup cgroup rw,memory',
    '38 25 0:33 / /sys/fs/cgroup/pids rw,nosuid shared:18 - cgroup cgroup rw,pids',
  ].join('\n'),
  procCgroup: '5:pids:/user.slice\n4:memory:/\n3:cpu,cpuacct:/\n1:name=systemd:/\n0::/user.slice\n',
};

const PURE_V2 = {
  mountinfo: `${ROOT}\n30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate`,
  procCgroup: '0::/user.slice/user-0.slice/session-1.scope\n',
};

function parsed({ mountinfo, procCgroup }: { mountinfo: string; procCgroup: string }) {
  return parseCgroupLayout(mountinfo, procCgroup);
}

describe('the layout of control groups', () => {
  it('finds v1 controllers, each in its own hierarchy, beside an empty v2 tree', () => {
    const layout = parsed(SEPARATE);
    expect(layout.limits).toBe('v1');
    expect(layout.v2).toBe('/sys/fs/cgroup/unified');
    expect(layout.v1.get('memory')).toBe('/sys/fs/cgroup/memory');
    expect(layout.v1.get('name=systemd')).toBe('/sys/fs/cgroup/systemd');
  });

  it('finds controllers that share a hierarchy', () => {
    const layout = parsed(SYSTEMD_HYBRID);
    expect(layout.limits).toBe('v1');
    expect(layout.v1.get('cpu')).toBe('/sys/fs/cgroup/cpu,cpuacct');
    expect(layout.v1.get('cpuacct')).toBe('/sys/fs/cgroup/cpu,cpuacct');
  });

  it('finds a tree of v2 alone', () => {
    const layout = parsed(PURE_V2);
    expect(layout.limits).toBe('v2');
    expect(layout.v2).toBe('/sys/fs/cgroup');
    expect(layout.v1.size).toBe(0);
  });

  it('takes a v2 tree whose only v1 hierarchy is a named one', () => {
    const layout = parseCgroupLayout(
      `${PURE_V2.mountinfo}\n${SEPARATE.mountinfo.split('\n')[5]}`,
      '1:name=systemd:/\n0::/\n',
    );
    expect(layout.limits).toBe('v2');
  });

  it('does not count a controller that the kernel has but nobody mounted', () => {
    const mountinfo = SEPARATE.mountinfo.split('\n').filter((line) => !line.endsWith('rw,pids'));
    expect(() => parseCgroupLayout(mountinfo.join('\n'), SEPARATE.procCgroup)).toThrow(/but pids not/);
  });

  it('refuses a host without a v2 tree, which sensors need', () => {
    const mountinfo = SEPARATE.mountinfo.split('\n').filter((line) => !line.includes('cgroup2'));
    const attempt = () => parseCgroupLayout(mountinfo.join('\n'), SEPARATE.procCgroup);
    expect(attempt).toThrow(SandboxError);
    expect(attempt).toThrow(expect.objectContaining({ code: 'SANDBOX_CGROUP', exit: 6 }));
  });

  it('finds the layout of this host', () => {
    expect(['v1', 'v2']).toContain(findCgroupLayout().limits);
  });
});
