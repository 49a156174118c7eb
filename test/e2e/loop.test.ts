// Earning and falling on a real kernel: a signed image rises by clean work, an unsigned one stays low, bad behaviour is caught at once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ScoreDocument, WorkloadEvent } from '../../src/api/index.ts';
import { until } from '../home-fixture.ts';
import { incidentOf, type Loop, openLoop, shortPolicy } from '../loop-fixture.ts';
import { needs } from '../needs.ts';

const MIB = 1024 ** 2;
/** Some milliseconds by itself (see bench/); a host whose two cores run other tests, and a fork bomb, takes its time. */
const APPLY_MS_MAX = 500;

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'bpftrace', 'busybox'))('the loop', () => {
  let loop: Loop;
  beforeAll(async () => {
    loop = await openLoop(['a', 'b', 'c', 'd', 'e', 'U']);
  });
  afterAll(async () => {
    await loop[Symbol.asyncDispose]();
  });

  it('gives an idle workload no more than it started with', async () => {
    await loop.run({ name: 'idle', image: 'b', argv: ['sleep', '1000'] });
    // Starting is work, too; after that it only sleeps.
    await until('it is idle', async () => ((await loop.inspect('idle')).usage?.cpuMillicores ?? 1000) < 5);
    const { score } = await loop.inspect('idle');
    await loop.run({ name: 'web' });
    loop.order('web', 'work');
    await until('the working one is high', async () => (await loop.inspect('web')).grantedTier === 'high');
    const idle = await loop.inspect('idle');
    expect(idle.grantedTier).toBe('medium');
    // The kernel itself sends some packets for it, each of which makes one window an active one.
    expect(idle.score - score).toBeLessThan(0.1);
  });

  it('raises a signed image that works cleanly, the decision in the journal before the kernel holds it', async () => {
    const web = await loop.inspect('web');
    const [raise, ...more] = await loop.events('web', 'grant');
    expect(more).toEqual([]);
    expect(raise).toMatchObject({
      fromTier: 'medium',
      toTier: 'high',
      enforced: true,
      from: { cpu: { millicores: 500 } },
      to: { cpu: { millicores: 1000 } },
    });
    expect(raise?.effective).toMatchObject({ cpuMillicores: 1000, memoryBytes: 128 * MIB, network: 'unrestricted' });
    expect(loop.kernel(web)).toEqual({ cpuMillicores: 1000, memoryBytes: 128 * MIB, pids: 40 });
    const [admitted] = await loop.events('web', 'admitted');
    expect(raise?.logIndex).toBeGreaterThan(admitted?.logIndex ?? Number.MAX_SAFE_INTEGER);
    const { components } = await scoreOf(loop, web.artifact.name);
    expect(components.reputation.score, 'clean time speaks for its publisher').toBeGreaterThan(0.5);
    const { stdout } = await loop.home.provost(['replay', '--json']);
    expect(stdout).toContain(`${raise?.logIndex}`);
  });

  it('holds an unsigned image low, under gVisor and without a network', async () => {
    await loop.run({ name: 'stranger', image: 'U', memoryBytes: 512 * MIB });
    const stranger = await loop.inspect('stranger');
    expect(stranger).toMatchObject({ tier: 'low', driver: 'gvisor', effective: { network: 'isolated' } });
    const { cpuMillicores, memoryBytes } = loop.kernel(stranger);
    expect(cpuMillicores).toBeLessThanOrEqual(100);
    expect(memoryBytes).toBeLessThanOrEqual(256 * MIB);
  });

  it.each([
    { name: 'thief', image: 'c', order: 'shadow', kind: 'credential-access', windows: '100ms' },
    { name: 'scanner', image: 'd', order: 'scan', kind: 'port-scan', windows: '1s' },
    { name: 'forker', image: 'e', order: 'fork', kind: 'fork-bomb', windows: '100ms' },
  ])(
    'catches a $kind, clamps within milliseconds, and starts it anew under gVisor',
    async ({ name, image, order, kind, windows }) => {
      await loop.run({ name, image, policy: shortPolicy({ 'detailed: 1s': `detailed: ${windows}` }) });
      const before = await loop.inspect(name);
      expect(before).toMatchObject({ grantedTier: 'medium', driver: 'runc' });
      loop.order(name, order);
      const incident = await incidentOf(loop, name, [kind], 'alert');
      loop.recall(name, order);
      expect(incident).toMatchObject({ severity: 'high', state: 'open' });
      expect(incident.evidence.join()).toMatch(/shadow|destinations|processes/);
      const [restrict, isolate, freeze, relaunch] = incident.actions;
      expect(incident.actions.map(({ kind: did, ok, error }) => [did, ok, error])).toEqual(
        ['restrict', 'isolate-network', 'freeze', 'relaunch', 'alert'].map((did) => [did, true, null]),
      );
      expect(restrict?.before).toMatchObject({
        cpuMillicores: 500,
        memoryBytes: 64 * MIB,
        network: 'rateLimited',
        frozen: false,
      });
      expect(restrict?.after).toMatchObject({ cpuMillicores: 100, network: 'isolated' });
      expect(isolate?.before).toMatchObject({ network: 'rateLimited' });
      expect(freeze?.after).toMatchObject({ frozen: true });
      expect(relaunch?.after).toMatchObject({ cpuMillicores: 100, network: 'isolated', frozen: false });
      const [fall] = await loop.events(name, 'grant');
      expect(fall).toMatchObject({
        fromTier: 'medium',
        toTier: 'low',
        effective: { cpuMillicores: 100, network: 'isolated' },
      });
      expect(fall?.score).toBeLessThanOrEqual(0.49);
      expect(fall?.applyMs).toBeLessThan(APPLY_MS_MAX);
      expect(await loop.inspect(name)).toMatchObject({
        driver: 'gvisor',
        state: 'running',
        revision: 1,
        openIncidents: expect.arrayContaining([incident.id]),
      });
    },
  );
});

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'bpftrace', 'busybox'))(
  'a program that suddenly burns CPU',
  () => {
    it('is told from what was normal for it, and falls', async () => {
      await using loop = await openLoop(['a']);
      // Two odd windows in a row are enough here; the default policy takes five.
      const policy = shortPolicy({ 'alarmAt: 1000000': 'alarmAt: 100' });
      await loop.run({ name: 'miner', policy });
      await windows(loop, 'miner', LEARNT_WINDOWS);
      loop.order('miner', 'burn');
      const incident = await incidentOf(loop, 'miner', ['alarm', 'mining'], 'alert');
      expect(incident.evidence.join()).toMatch(/CPU|unusual/);
      await until('it is low', async () => (await loop.inspect('miner')).grantedTier === 'low');
    });
  },
);

/** Enough for the detector to know what is normal, and how rare a window is. */
const LEARNT_WINDOWS = 80;

/** Resolves once so many windows of a workload have been judged from now on. */
async function windows(loop: Loop, name: string, count: number): Promise<void> {
  const ending = new AbortController();
  let seen = 0;
  for await (const { value } of loop.client.events(`/v1/events?workload=${name}`, ending.signal)) {
    if ((value as WorkloadEvent).event === 'window') seen += 1;
    if (seen === count) break;
  }
  ending.abort();
}

function scoreOf(loop: Loop, reference: string): Promise<ScoreDocument> {
  const path = `/v1/artifacts/score?reference=${encodeURIComponent(reference)}`;
  return loop.client.call<ScoreDocument>({ method: 'GET', path });
}
