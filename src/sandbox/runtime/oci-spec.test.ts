import { describe, expect, it } from 'vitest';
import type { LaunchPart } from '../driver.ts';
import { bindMount, ociSpec, type OciConfig, tmpfs } from './oci-spec.ts';

const LAUNCH: LaunchPart = {
  id: 'abc123-1',
  homeId: 'abc123',
  runDir: '/r',
  scratchDir: '/s',
  layerDirs: ['/layer'],
  argv: ['/bin/x', '-v'],
  ...{
    env: ['A=1'],
    workingDir: '/srv',
    user: '',
    hostname: 'web',
    terminal: false,
    stdinOpen: false,
    mounts: [],
  },
  ...{
    secrets: new Map(),
    diskBytes: 1,
    launchProfile: 'standard',
    idRangeFirst: 5e5,
    logPath: '/l',
    logBytesMax: 1,
  },
};
const ROOT = { uid: 0, gid: 0, additionalGids: [], home: '/root' };

describe('ociSpec', () => {
  it('gives every workload namespaces of its own and a range of ids that excludes the host', () => {
    const { linux } = specOf({});
    expect(linux.namespaces.map(({ type }) => type).toSorted()).toEqual(
      ['cgroup', 'ipc', 'mount', 'network', 'pid', 'user', 'uts'].toSorted(),
    );
    // A path would join a namespace that exists.
    expect(linux.namespaces.every((namespace) => Object.keys(namespace).length === 1)).toBe(true);
    const mapping = { containerID: 0, hostID: 500_000, size: 65_536 };
    expect(linux).toMatchObject({ uidMappings: [mapping], gidMappings: [mapping] });
  });

  it('never lets a workload gain privileges, whatever its profile', () => {
    for (const launchProfile of ['standard', 'strict'] as const) {
      expect(specOf({ launchProfile }).process.noNewPrivileges).toBe(true);
    }
  });

  it('keeps in strict fewer capabilities than in standard, and in both none that reaches beyond the workload', () => {
    const standard = specOf({}).process.capabilities.bounding;
    const strict = specOf({ launchProfile: 'strict' }).process.capabilities.bounding;
    expect(strict.filter((name) => !standard.includes(name))).toEqual([]);
    expect(strict.length).toBeLessThan(standard.length);
    expect(standard).toEqual([
      ...[
        'CAP_CHOWN',
        'CAP_DAC_OVERRIDE',
        'CAP_FOWNER',
        'CAP_FSETID',
        'CAP_KILL',
        'CAP_NET_BIND_SERVICE',
        'CAP_SETGID',
      ],
      'CAP_SETUID',
    ]);
  });

  it('leaves a user other than root without capabilities', () => {
    const user = { uid: 33, gid: 33, additionalGids: [4], home: '/' };
    const { capabilities, user: who } = ociSpec({ ...input({}), user }).process;
    expect(capabilities).toMatchObject({ effective: [], permitted: [] });
    expect(who).toEqual({ uid: 33, gid: 33, additionalGids: [4] });
  });

  it('bounds every tmpfs, and makes what the kernel shows unwritable', () => {
    const { mounts, linux } = specOf({});
    const sized = mounts.filter(({ type }) => type === 'tmpfs');
    expect(sized.length).toBeGreaterThan(0);
    expect(sized.filter(({ options }) => !options.some((option) => option.startsWith('size=')))).toEqual([]);
    expect(mounts.find(({ destination }) => destination === '/sys')?.options).toContain('ro');
    expect(linux.readonlyPaths).toEqual(expect.arrayContaining(['/proc/sys', '/proc/sysrq-trigger']));
    expect(linux.maskedPaths).toEqual(expect.arrayContaining(['/proc/kcore', '/sys/firmware']));
    expect(mounts.filter(({ type }) => type === 'cgroup')).toEqual([]);
  });

  it('forbids devices by default, core files always, and asks for no more open files than the host has', () => {
    const { linux, process: first } = specOf({});
    expect(linux.resources.devices).toEqual([{ allow: false, access: 'rwm' }]);
    expect(first.rlimits).toEqual([
      { type: 'RLIMIT_CORE', hard: 0, soft: 0 },
      { type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 },
    ]);
  });

  it('adds what programs expect in the environment and overrides nothing', () => {
    expect(specOf({}).process.env).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOME=/root',
      'HOSTNAME=web',
      'A=1',
    ]);
    expect(specOf({ env: ['PATH=/p', 'HOME=/h', 'HOSTNAME=n', 'TERM=t'], terminal: true }).process.env).toEqual([
      'PATH=/p',
      'HOME=/h',
      'HOSTNAME=n',
      'TERM=t',
    ]);
    expect(specOf({ env: [], terminal: true }).process.env).toContain('TERM=xterm');
  });

  it('puts the driver’s mounts before the user’s, and takes set-uid programs and devices from both', () => {
    const bind = { source: '/data', target: '/srv/data', readOnly: true };
    const own = tmpfs('/own', ['size=1k']);
    const { mounts } = ociSpec({ ...input({ mounts: [bind] }), ownMounts: [own] });
    expect(mounts.slice(-2)).toEqual([own, bindMount(bind)]);
    expect(bindMount(bind).options).toEqual(['bind', 'nosuid', 'nodev', 'rprivate', 'ro']);
    expect(bindMount({ ...bind, readOnly: false }).options).toContain('rw');
  });
});

function input(part: Partial<LaunchPart>): Parameters<typeof ociSpec>[0] {
  const launch = { ...LAUNCH, ...part };
  return { launch, user: ROOT, rootDir: '/root', cgroupsPath: '/provost/abc123/1', openFilesMax: 1024, ownMounts: [] };
}

function specOf(part: Partial<LaunchPart>): OciConfig {
  return ociSpec(input(part));
}
