// What this host can enforce: parts that are there and work, and what that means for each tier.
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';

import type { Isolation } from '../policy/index.ts';
import { type DriverName, networkFindings, type Probe, SandboxError, sensorFinding } from '../sandbox/index.ts';
import type { Tier } from '../trust/index.ts';
import { probeDrivers } from './drivers.ts';
import { type Home, homeAt } from './home.ts';
import { readHomePolicy } from './policies.ts';

export interface HostCheck {
  readonly name: string;
  readonly status: 'ok' | 'weak' | 'missing';
  readonly detail: string;
  /** What to do; null when nothing is to be done. */
  readonly fix: string | null;
}

export interface HostReport {
  readonly checks: readonly HostCheck[];
  readonly tiers: readonly { readonly tier: Tier; readonly enforceable: boolean; readonly how: string }[];
}

/** Examines the host by trying its parts. Nothing is left behind. */
export async function examineHost(options: { readonly homeDir: string }): Promise<HostReport> {
  const home = homeAt(options.homeDir);
  const found = await lookForDrivers(home);
  const checks = [
    rootCheck(),
    { name: 'kernel', status: 'ok', detail: release(), fix: null } satisfies HostCheck,
    cgroupCheck(),
    ...found.checks,
    ...(await networkFindings()),
    await sensorFinding(),
  ];
  const { policy } = readHomePolicy(home.policyFile);
  const tiers = (['high', 'medium', 'low'] as const).map((tier) =>
    tierReport(tier, policy.isolation[tier], found.isolationAvailable),
  );
  return { checks, tiers };
}

function rootCheck(): HostCheck {
  if (isRoot()) return { name: 'root', status: 'ok', detail: 'this command runs as root', fix: null };
  return {
    name: 'root',
    status: 'missing',
    detail: 'cgroups, namespaces and mounts need root',
    fix: 'run it with sudo',
  };
}

function cgroupCheck(): HostCheck {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  const v1 = lines.filter((line) => !line.startsWith('0:')).flatMap((line) => line.split(':')[1]?.split(',') ?? []);
  const needed = ['cpu', 'memory', 'pids'];
  if (needed.every((name) => v1.includes(name))) {
    return {
      name: 'cgroup',
      status: 'ok',
      detail: `v1 controllers ${v1.filter((name) => !name.includes('=')).join(', ')}`,
      fix: null,
    };
  }
  const v2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
    ? readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').trim().split(' ')
    : [];
  if (needed.every((name) => v2.includes(name)))
    return { name: 'cgroup', status: 'ok', detail: `v2 controllers ${v2.join(', ')}`, fix: null };
  return {
    name: 'cgroup',
    status: 'missing',
    detail: 'no cpu, memory and pids controllers',
    fix: 'mount cgroups, or enable the controllers on the kernel command line',
  };
}

interface FoundDrivers {
  readonly checks: readonly HostCheck[];
  readonly isolationAvailable: readonly Isolation[];
}

/** Without control groups no driver can be opened: the check of those says what to do. */
async function lookForDrivers(home: Home): Promise<FoundDrivers> {
  try {
    const { probes, isolationAvailable } = await probeDrivers(home, {
      remember: existsSync(home.cacheDir) && isRoot(),
    });
    return { checks: [...probes].map(([name, probe]) => driverCheck(name, probe)), isolationAvailable };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    return {
      checks: [{ name: 'drivers', status: 'missing', detail: error.message, fix: error.hint ?? null }],
      isolationAvailable: [],
    };
  }
}

function driverCheck(driver: DriverName, probe: Probe): HostCheck {
  const name = `driver ${driver}`;
  if (probe.ok) return { name, status: 'ok', detail: `${probe.detail} ${probe.version} (${probe.path})`, fix: null };
  return { name, status: 'missing', detail: probe.reason, fix: probe.hint };
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function tierReport(
  tier: Tier,
  wanted: readonly Isolation[],
  available: readonly Isolation[],
): HostReport['tiers'][number] {
  const found = wanted.find((isolation) => available.includes(isolation));
  if (found === undefined) return { tier, enforceable: false, how: `needs ${wanted.join(' or ')}` };
  return {
    tier,
    enforceable: true,
    how: `runs in ${found}${found === wanted[0] ? '' : ` (the policy would rather have ${wanted[0]})`}`,
  };
}
