import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocateResources } from './allocate.ts';
import { planCaps } from './caps.ts';
import type { Grant, Isolation, ResourceRequest } from './grant.ts';
import { isSameLive, liveGrantOf } from './grant.ts';
import { parsePolicy } from './parse.ts';
import { tierNames, tierOf, tierRank } from './tier.ts';

const text = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const policy = parsePolicy(text, 'default.yaml');
const MIB = 1024 * 1024;

const request: ResourceRequest = {
  cpuMillicores: 2000,
  memoryBytes: 1024 * MIB,
  diskBytes: 1024 * MIB,
  pids: 512,
  timeMs: null,
  ports: [{ hostAddress: '127.0.0.1', hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
  mounts: [],
};

const everything: ReadonlySet<Isolation> = new Set(['container', 'gvisor', 'microvm']);

function grantOf(tier: 'high' | 'medium' | 'low', asked = request, isolationAvailable = everything): Grant {
  const allocation = allocateResources(asked, tier, { policy, isolationAvailable });
  if (allocation.kind === 'refused') throw new Error(allocation.reasons.join());
  return allocation.grant;
}

describe('tierOf', () => {
  it.each([
    [1, 'high'],
    [0.8 + 2 ** -53, 'high'],
    [0.8, 'medium'],
    [0.5, 'medium'],
    [0.5 - 2 ** -54, 'low'],
    [0, 'low'],
    [Number.NaN, 'low'],
  ] as const)('takes %d for %s, exactly as the specification', (score, tier) => {
    expect(tierOf(score, policy.tiers)).toBe(tier);
  });
});

describe('allocateResources', () => {
  it('gives high what it asked for, without a limit on the network', () => {
    expect(allocateResources(request, 'high', { policy, isolationAvailable: everything })).toEqual({
      kind: 'granted',
      launchProfile: 'standard',
      grant: {
        cpu: { millicores: 2000 },
        memory: { bytes: 1024 * MIB },
        disk: { bytes: 1024 * MIB },
        pids: 512,
        timeMs: null,
        network: 'unrestricted',
        rateBitsPerSecond: null,
        ports: request.ports,
        mounts: [],
        isolation: 'container',
        logging: 'standard',
      },
    });
  });

  it('gives medium half the CPU and memory, a limited rate and detailed logging', () => {
    expect(grantOf('medium')).toMatchObject({
      cpu: { millicores: 1000 },
      memory: { bytes: 512 * MIB },
      network: 'rateLimited',
      rateBitsPerSecond: 10_000_000,
      isolation: 'container',
      logging: 'detailed',
    });
  });

  it('gives low 100 millicores and 256 MiB, no network, a microVM and real-time analysis', () => {
    expect(grantOf('low')).toMatchObject({
      cpu: { millicores: 100 },
      memory: { bytes: 256 * MIB },
      network: 'isolated',
      rateBitsPerSecond: null,
      isolation: 'microvm',
      logging: 'realtime',
    });
    expect(allocateResources(request, 'low', { policy, isolationAvailable: everything })).toMatchObject({
      launchProfile: 'strict',
    });
  });

  it('never gives low more than it asked for', () => {
    const small = grantOf('low', { ...request, cpuMillicores: 50, memoryBytes: 64 * MIB });
    expect(small).toMatchObject({ cpu: { millicores: 50 }, memory: { bytes: 64 * MIB } });
  });

  it('gives at least one millicore and one byte', () => {
    expect(grantOf('medium', { ...request, cpuMillicores: 1, memoryBytes: 1 })).toMatchObject({
      cpu: { millicores: 1 },
      memory: { bytes: 1 },
    });
  });

  it('takes the first isolation of the policy that the host has', () => {
    expect(grantOf('low', request, new Set(['gvisor', 'container'])).isolation).toBe('gvisor');
  });

  it('refuses a tier whose isolation the host lacks, and names it', () => {
    const refused = allocateResources(request, 'low', { policy, isolationAvailable: new Set(['container']) });
    expect(refused).toEqual({
      kind: 'refused',
      reasons: [
        'tier low runs in microvm or gvisor only, and this host has no working driver for it (see provost doctor)',
      ],
    });
    expect(allocateResources(request, 'high', { policy, isolationAvailable: new Set() }).kind).toBe('refused');
  });

  it('never gives more than was asked for, and medium no more than high', () => {
    const anyRequest = fc.record({
      cpuMillicores: fc.integer({ min: 1, max: 256_000 }),
      memoryBytes: fc.integer({ min: 1, max: 2 ** 42 }),
    });
    fc.assert(
      fc.property(anyRequest, (asked) => {
        const [low, medium, high] = tierNames.map((tier) => grantOf(tier, { ...request, ...asked }));
        for (const grant of [low, medium, high]) {
          expect(grant?.cpu.millicores).toBeLessThanOrEqual(asked.cpuMillicores);
          expect(grant?.memory.bytes).toBeLessThanOrEqual(asked.memoryBytes);
        }
        expect(medium?.cpu.millicores).toBeLessThanOrEqual(high?.cpu.millicores ?? 0);
        expect(medium?.memory.bytes).toBeLessThanOrEqual(high?.memory.bytes ?? 0);
      }),
    );
  });

  it('gives low a fixed amount as the specification does, also where medium is half of less', () => {
    const asked = { ...request, cpuMillicores: 150 };
    expect(grantOf('low', asked).cpu.millicores).toBe(100);
    expect(grantOf('medium', asked).cpu.millicores).toBe(75);
  });
});

describe('isSameLive', () => {
  it('sees every field of the live part, and nothing of the launch part', () => {
    const live = liveGrantOf(grantOf('medium'));
    expect(isSameLive(live, liveGrantOf({ ...grantOf('medium'), isolation: 'gvisor' }))).toBe(true);
    const changes = {
      cpuMillicores: 1,
      memoryBytes: 1,
      pids: 1,
      network: 'isolated',
      rateBitsPerSecond: 1,
      logging: 'realtime',
    } as const;
    expect(Object.keys(changes).sort()).toEqual(Object.keys(live).sort());
    for (const [key, value] of Object.entries(changes)) expect(isSameLive(live, { ...live, [key]: value })).toBe(false);
  });
});

describe('planCaps', () => {
  const day = 86_400_000;
  const sound = {
    attestation: 'trusted',
    openHighIncident: null,
    cleanActiveMs: day,
    isReviewed: false,
    isReproduced: false,
  } as const;

  it('lets provenance alone reach medium until a day of clean activity, to the millisecond', () => {
    expect(planCaps(policy, sound)).toEqual([]);
    expect(planCaps(policy, { ...sound, cleanActiveMs: day - 1 })).toEqual([
      expect.objectContaining({
        id: 'provenance-only',
        max: 0.8,
        lift: 'let it run cleanly for 24h here, or have a second person review it, or have somebody else reproduce the build',
      }),
    ]);
  });

  it.each(['isReviewed', 'isReproduced'] as const)('lifts that cap at once for what %s', (fact) => {
    expect(planCaps(policy, { ...sound, cleanActiveMs: 0, [fact]: true })).toEqual([]);
  });

  it('never lifts that cap where the policy says so', () => {
    const never = parsePolicy(
      text
        .replace('liftedByCleanRuntime: 24h', 'liftedByCleanRuntime: null')
        .replace(
          'liftedByReview: true, liftedByReproduction: true',
          'liftedByReview: false, liftedByReproduction: false',
        ),
      'p.yaml',
    );
    expect(planCaps(never, { ...sound, cleanActiveMs: 1e15, isReviewed: true, isReproduced: true })).toEqual([
      expect.objectContaining({ id: 'provenance-only', lift: 'this policy never lifts it' }),
    ]);
  });

  it.each([
    ['none', 'unsigned', 0.49],
    ['unknown-key', 'unsigned', 0.49],
    ['failed', 'failed-verification', 0],
    ['revoked', 'revoked', 0],
  ] as const)('caps an artifact whose attestation is %s', (attestation, id, max) => {
    expect(planCaps(policy, { ...sound, attestation })).toEqual([expect.objectContaining({ id, max })]);
  });

  it('names the incident that is open, and puts the lowest cap first', () => {
    const caps = planCaps(policy, { ...sound, attestation: 'revoked', openHighIncident: 'i-7', cleanActiveMs: 0 });
    expect(caps.map(({ id }) => id)).toEqual(['revoked', 'open-incident', 'provenance-only']);
    expect(caps[1]?.lift).toContain('provost incident resolve i-7');
  });
});

describe('tierRank', () => {
  it('orders the tiers', () => {
    expect(tierNames.map(tierRank)).toEqual([0, 1, 2]);
  });
});
