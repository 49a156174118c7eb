import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CapacityInput, type Holding, planCapacity } from './capacity.ts';
import { parsePolicy } from './parse.ts';

const text = readFileSync(new URL('../../policies/default.yaml', import.meta.url), 'utf8');
const policy = parsePolicy(text, 'default.yaml');
const MIB = 1024 * 1024;

/** The default reserve leaves 1800 millicores, promised four times, and 2 GiB. */
const host = { cpuMillicores: 2000, memoryBytes: 2304 * MIB };

const holding = (id: string, tier: Holding['tier'], cpuMillicores: number, mib: number): Holding => ({
  id,
  tier,
  cpuMillicores,
  memoryBytes: mib * MIB,
});

function plan(running: readonly Holding[], want: CapacityInput['want'], by = policy) {
  return planCapacity({ policy: by, host, running, want });
}

const want = (mib: number, cpuMillicores = 1000, tier: Holding['tier'] = 'high') => ({
  cpuMillicores,
  memoryBytes: mib * MIB,
  tier,
});

describe('planCapacity', () => {
  it('fits what is exactly left, and not one byte more', () => {
    expect(plan([], want(2048))).toEqual({ kind: 'fits', shrink: [] });
    expect(plan([], { ...want(2048), memoryBytes: 2048 * MIB + 1 }).kind).toBe('refused');
  });

  it('promises CPU up to the factor of the policy, and memory once', () => {
    expect(plan([], want(1, 7200)).kind).toBe('fits');
    expect(plan([], want(1, 7201))).toEqual({
      kind: 'refused',
      reasons: ['CPU: 7201m asked for, 7200m to promise, 1m too little after shrinking what the policy allows'],
    });
  });

  it('refuses with the numbers', () => {
    const refused = plan([holding('a', 'high', 1000, 1536)], want(1024));
    expect(refused).toEqual({
      kind: 'refused',
      reasons: ['memory: 1Gi asked for, 2Gi to give, 512Mi too little after shrinking what the policy allows'],
    });
  });

  it('shrinks workloads of a lower tier, lowest and largest first, no further than needed', () => {
    const running = [
      holding('m', 'medium', 500, 512),
      holding('l1', 'low', 100, 300),
      holding('l2', 'low', 100, 400),
      holding('h', 'high', 1000, 512),
    ];
    expect(plan(running, want(512))).toEqual({
      kind: 'fits',
      shrink: [
        { id: 'l2', cpuMillicores: 100, memoryBytes: 256 * MIB },
        { id: 'l1', cpuMillicores: 100, memoryBytes: 256 * MIB },
      ],
    });
    expect(plan(running, want(600))).toMatchObject({
      shrink: [{ id: 'l2' }, { id: 'l1' }, { id: 'm', memoryBytes: 424 * MIB }],
    });
  });

  it('does not shrink an equal or higher tier, nor anything when the policy says no', () => {
    expect(plan([holding('a', 'high', 1000, 2048)], want(512)).kind).toBe('refused');
    const never = parsePolicy(text.replace('shrinkLower: true', 'shrinkLower: false'), 'p.yaml');
    const refused = plan([holding('a', 'medium', 1000, 2048)], want(512), never);
    expect(refused).toEqual({ kind: 'refused', reasons: ['memory: 512Mi asked for, 2Gi to give, 512Mi too little'] });
  });

  it('shrinks CPU alone when only CPU is missing', () => {
    const running = [holding('b', 'medium', 3500, 64), holding('a', 'medium', 3500, 64)];
    expect(plan(running, want(64, 1000))).toEqual({
      kind: 'fits',
      shrink: [{ id: 'a', cpuMillicores: 2700, memoryBytes: 64 * MIB }],
    });
  });

  it('shrinks nothing where low has no bound', () => {
    const unbounded = parsePolicy(
      text
        .replace('cpuMax: 100m', 'cpuMax: null')
        .replace('memoryMax: 256Mi', 'memoryMax: null')
        .replace(
          'cpuShare: 1\n    cpuMax: null\n    memoryShare: 1\n    memoryMax: null\n    network: isolated',
          'cpuShare: 0.5\n    cpuMax: null\n    memoryShare: 0.5\n    memoryMax: null\n    network: isolated',
        ),
      'p.yaml',
    );
    expect(unbounded.grants.low.memoryBytesMax).toBeNull();
    expect(plan([holding('m', 'medium', 1000, 2048)], want(512), unbounded).kind).toBe('refused');
  });

  it('gives nothing on a host that is smaller than the reserve', () => {
    expect(
      planCapacity({ policy, host: { cpuMillicores: 100, memoryBytes: MIB }, running: [], want: want(1, 1) }).kind,
    ).toBe('refused');
  });

  it('never promises memory twice, nor CPU beyond the factor, whatever it shrinks', () => {
    const anyHolding = fc.record({
      tier: fc.constantFrom('high', 'medium', 'low'),
      cpuMillicores: fc.integer({ min: 1, max: 4000 }),
      memoryBytes: fc.integer({ min: 1, max: 1024 * MIB }),
    });
    fc.assert(
      fc.property(fc.array(anyHolding, { maxLength: 8 }), anyHolding, (holdings, asked) => {
        const running = holdings.map((one, n) => ({ ...one, id: `w${n}` }));
        const result = plan(running, asked);
        if (result.kind === 'refused') {
          expect(result.reasons.length).toBeGreaterThan(0);
          return;
        }
        const shrunk = new Map(result.shrink.map((one) => [one.id, one]));
        const after = running.map((one) => ({ ...one, ...shrunk.get(one.id) }));
        expect(after.reduce((sum, one) => sum + one.memoryBytes, asked.memoryBytes)).toBeLessThanOrEqual(2048 * MIB);
        expect(after.reduce((sum, one) => sum + one.cpuMillicores, asked.cpuMillicores)).toBeLessThanOrEqual(7200);
        for (const [at, one] of after.entries()) {
          expect(one.memoryBytes).toBeLessThanOrEqual(running[at]?.memoryBytes ?? 0);
          expect(one.cpuMillicores).toBeLessThanOrEqual(running[at]?.cpuMillicores ?? 0);
        }
      }),
    );
  });
});
