// What is done about incidents, by policies and by people: rolled back, relaunched, frozen, released, told, and only planned.
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IncidentDocument, WorkloadDocument } from '../../src/api/index.ts';
import { until } from '../home-fixture.ts';
import { incidentOf, type Loop, openLoop, shortPolicy } from '../loop-fixture.ts';
import { needs } from '../needs.ts';

const MIB = 1024 ** 2;

/** Low in the same sandbox as the rest: what is seen is the response alone. */
const ONE_SANDBOX = {
  'low: [microvm, gvisor]': 'low: [container]',
  'launchProfile: strict': 'launchProfile: standard',
};

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'bpftrace', 'busybox'))('responses', () => {
  let loop: Loop;
  beforeAll(async () => {
    loop = await openLoop(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'U', 'V', 'W']);
  });
  afterAll(async () => {
    await loop[Symbol.asyncDispose]();
  });

  it('rolls a critical violation back to the last good revision, with its own grant and a fresh layer', async () => {
    await loop.run({ name: 'shop', image: 'a', cpuMillicores: 600 });
    await until('revision 1 is good', async () => (await loop.inspect('shop')).revisions[0]?.good === true);
    await loop.run({ name: 'shop', image: 'b', cpuMillicores: 800, replace: true });
    expect(await loop.inspect('shop')).toMatchObject({ revision: 2, effective: { cpuMillicores: 400 } });
    loop.order('shop', 'escape');
    const incident = await incidentOf(loop, 'shop', ['escape-attempt'], 'rollback');
    expect(incident).toMatchObject({ severity: 'critical', revision: 2 });
    // The alert has no place of its own in the order: it is told beside the rest.
    const done = incident.actions.filter(({ kind }) => kind !== 'alert');
    expect(done.map(({ kind, ok, error }) => [kind, ok, error])).toEqual(
      ['restrict', 'isolate-network', 'freeze', 'terminate', 'rollback'].map((kind) => [kind, true, null]),
    );
    const shop = await loop.inspect('shop');
    expect(shop).toMatchObject({
      revision: 1,
      state: 'running',
      driver: 'runc',
      effective: { cpuMillicores: 300, network: 'rateLimited' },
    });
    expect(loop.kernel(shop).cpuMillicores).toBe(300);
    expect(shop.revisions.map(({ good }) => good)).toEqual([true, false]);
    const exits = await loop.events('shop', 'exited');
    expect(exits.map(({ final }) => final)).toEqual([false, false]);
  });

  it.each([
    { name: 'eater', next: 'relaunch', state: 'running' },
    { name: 'glutton', next: 'terminate', state: 'contained' },
  ] as const)('gives memory in use its grace, then: $next', async ({ name, next, state }) => {
    const policy = shortPolicy({
      ...ONE_SANDBOX,
      'memoryMax: 256Mi': 'memoryMax: 32Mi',
      '{ grace: 10s, next: relaunch }': `{ grace: 300ms, next: ${next} }`,
    });
    const argv = ['sh', '-c', '[ -e /orders/full ] || dd if=/dev/zero of=/dev/shm/full bs=1M count=60; sleep 1000'];
    await loop.run({ name, image: 'c', policy, argv, memoryBytes: 256 * MIB });
    const { instance } = await loop.inspect(name);
    await until('its memory is in use', async () => ((await loop.inspect(name)).usage?.memoryBytes ?? 0) > 60 * MIB);
    loop.order(name, 'full');
    const held = await loop.post<WorkloadDocument>(`/v1/workloads/${name}/override`, {
      tier: 'low',
      forMs: 60_000,
      reason: 'a test',
    });
    expect(held.pending).toEqual({ memoryBytes: 32 * MIB });
    expect(loop.kernel(held).memoryBytes).toBeGreaterThan(60 * MIB);
    const incident = await incidentOf(loop, name, ['pending-memory'], 'alert');
    expect(incident.actions[0]).toMatchObject({ kind: next, ok: true });
    const after = await loop.inspect(name);
    expect(after).toMatchObject({ state, pending: {} });
    if (next === 'relaunch') expect(after.instance).not.toBe(instance);
    if (next === 'relaunch') expect(loop.kernel(after).memoryBytes).toBe(32 * MIB);
  });

  it('ends an override by itself, and lets a revocation beat one', async () => {
    const signer = 'bob';
    await loop.home.ok('key', 'generate', signer);
    await loop.home.ok('key', 'trust', signer);
    await loop.run({
      name: 'vip',
      image: 'd',
      policy: shortPolicy({ 'liftedByCleanRuntime: 500ms': 'liftedByCleanRuntime: 24h' }),
    });
    const raised = await loop.post<WorkloadDocument>('/v1/workloads/vip/override', {
      tier: 'high',
      forMs: 1000,
      reason: 'a test',
    });
    expect(raised).toMatchObject({ tier: 'medium', grantedTier: 'high', effective: { cpuMillicores: 1000 } });
    await until('it is medium again', async () => (await loop.inspect('vip')).grantedTier === 'medium');
    expect(await loop.inspect('vip')).toMatchObject({
      override: null,
      effective: { cpuMillicores: 500, network: 'rateLimited' },
    });
    const { artifact } = await loop
      .run({ name: 'doomed', image: 'V', argv: ['sleep', '1000'] })
      .then(() => loop.inspect('doomed'));
    await loop.post('/v1/attestations', {
      reference: artifact.name,
      rootfs: false,
      predicateType: 'https://provost.dev/attestation/release/v1',
      predicate: {},
      key: signer,
    });
    await loop.post('/v1/workloads/doomed/override', { tier: 'high', forMs: 60_000, reason: 'a test' });
    expect(await loop.inspect('doomed')).toMatchObject({ grantedTier: 'high' });
    await loop.home.ok('key', 'revoke', signer, '--reason', 'it was stolen');
    const incident = await incidentOf(loop, 'doomed', ['revocation'], 'alert');
    expect(incident.actions.map(({ kind }) => kind)).toContain('terminate');
    expect(await loop.inspect('doomed')).toMatchObject({ state: 'contained', score: 0, grantedTier: 'low', pid: null });
  });

  it('judges what runs unsigned anew once it is attested; its sandbox stays until the next start', async () => {
    await loop.run({ name: 'late', image: 'U', argv: ['sleep', '1000'] });
    const { artifact } = await loop.inspect('late');
    await loop.post('/v1/attestations', {
      reference: artifact.name,
      rootfs: false,
      predicateType: 'https://provost.dev/attestation/release/v1',
      predicate: {},
      key: 'alice',
    });
    await until('it is medium', async () => (await loop.inspect('late')).grantedTier === 'medium');
    expect(await loop.inspect('late')).toMatchObject({
      driver: 'gvisor',
      effective: { cpuMillicores: 500, network: 'rateLimited' },
    });
  });

  it('only plans while it observes: the kernel is untouched, and one finding is one incident', async () => {
    await loop.run({ name: 'watched', image: 'e', mode: 'observe' });
    const before = await loop.inspect('watched');
    loop.order('watched', 'shadow');
    const incident = await incidentOf(loop, 'watched', ['credential-access'], 'alert');
    expect(incident.actions.filter(({ enforced }) => enforced).map(({ kind }) => kind)).toEqual(['alert']);
    const [fall] = await loop.events('watched', 'grant');
    expect(fall).toMatchObject({
      toTier: 'low',
      enforced: false,
      effective: { cpuMillicores: 500, network: 'rateLimited' },
    });
    const after = await loop.inspect('watched');
    expect(after).toMatchObject({
      pid: before.pid,
      state: 'running',
      driver: 'runc',
      grant: { cpu: { millicores: 100 } },
    });
    expect(loop.kernel(after)).toEqual({ cpuMillicores: 500, memoryBytes: 64 * MIB, pids: 40 });
    expect(await loop.incidents('watched')).toHaveLength(1);
  });

  it('keeps frozen and cut off what an incident froze, until a person resolves it with a reason', async () => {
    const policy = shortPolicy({ ...ONE_SANDBOX, 'freeze, relaunch, alert': 'freeze, alert' });
    await loop.run({ name: 'held', image: 'f', policy });
    loop.order('held', 'shadow');
    const incident = await incidentOf(loop, 'held', ['credential-access'], 'alert');
    const held = await loop.inspect('held');
    expect(held).toMatchObject({ state: 'frozen', driver: 'runc' });
    expect(isFrozen(held)).toBe(true);
    const path = `/v1/incidents/${incident.id}`;
    expect(await loop.post<IncidentDocument>(`${path}/acknowledge`, { reason: 'looking' })).toMatchObject({
      state: 'acknowledged',
    });
    await expect(loop.post(`${path}/resolve`, { reason: ' ' })).rejects.toMatchObject({ code: 'ENGINE_STATE' });
    await loop.post('/v1/workloads/held/override', { tier: 'medium', forMs: 60_000, reason: 'a test' });
    expect(await loop.inspect('held')).toMatchObject({
      grantedTier: 'medium',
      state: 'frozen',
      effective: { network: 'isolated' },
    });
    await loop.post(`${path}/resolve`, { reason: 'a backup job, as agreed' });
    expect(isFrozen(held)).toBe(false);
    expect(await loop.inspect('held')).toMatchObject({
      state: 'running',
      openIncidents: [],
      effective: { network: 'rateLimited' },
    });
    await expect(loop.post(`${path}/resolve`, { reason: 'again' })).rejects.toMatchObject({ code: 'ENGINE_STATE' });
    await expect(loop.post('/v1/incidents/inc-999/resolve', { reason: 'none' })).rejects.toMatchObject({
      code: 'ENGINE_NO_INCIDENT',
    });
  });

  it('ends what the policy refuses while it runs, and refuses to start it', async () => {
    const policy = shortPolicy({
      'rules: []': 'rules: [{ id: no-low, when: \'tier == "low"\', refuse: true, reason: not here }]',
    });
    await loop.run({ name: 'guest', image: 'g', policy });
    loop.order('guest', 'shadow');
    const incident = await incidentOf(loop, 'guest', ['credential-access'], 'alert');
    expect(incident.actions.map(({ kind, ok }) => [kind, ok])).toEqual(
      ['restrict', 'isolate-network', 'freeze', 'terminate', 'alert'].map((kind) => [kind, true]),
    );
    expect(await loop.inspect('guest')).toMatchObject({ state: 'contained', pid: null });
    await expect(loop.run({ name: 'stranger', image: 'W', policy, argv: ['true'] })).rejects.toMatchObject({
      code: 'ENGINE_REFUSED',
      exit: 3,
    });
  });

  it('tells the webhook and the file in CloudEvents; a webhook that fails holds up nobody', async () => {
    const told: { readonly type: string | undefined; readonly body: string }[] = [];
    const server = createServer((request, reply) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      // The first try fails; so does every one to the other path.
      request.on('end', () => {
        told.push({ type: request.headers['content-type'], body });
        reply.writeHead(told.length === 1 || request.url === '/broken' ? 500 : 202).end();
      });
    });
    const port = await listening(server);
    const alerts = (path: string): string =>
      shortPolicy({
        ...ONE_SANDBOX,
        'webhook: null': `webhook: http://127.0.0.1:${port}${path}`,
        'file: alerts.jsonl': 'file: told.jsonl',
      });
    await loop.run({ name: 'loud', image: 'h', policy: alerts('/hook') });
    loop.order('loud', 'shadow');
    const incident = await incidentOf(loop, 'loud', ['credential-access'], 'alert');
    expect(incident.actions.at(-1)).toMatchObject({ kind: 'alert', ok: true });
    expect(told[1]).toMatchObject({ type: 'application/cloudevents+json' });
    expect(JSON.parse(told[1]?.body ?? '')).toMatchObject({
      specversion: '1.0',
      subject: 'loud',
      data: { id: incident.id },
    });
    await loop.run({ name: 'mute', image: 'c', policy: alerts('/broken') });
    await loop.post('/v1/workloads/mute/override', { tier: 'low', forMs: 60_000, reason: 'a test' });
    expect((await incidentOf(loop, 'mute', ['tier-change'], 'alert')).actions.at(-1)).toMatchObject({
      kind: 'alert',
      ok: false,
    });
    server.close();
    const file = join(loop.home.dir, 'told.jsonl');
    const lines = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { readonly subject: string }).subject);
    expect(lines).toEqual(['loud', 'mute']);
  });
});

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Whether a group is frozen, by the freezer of either version. */
function isFrozen({ cgroup }: WorkloadDocument): boolean {
  const states = [`/sys/fs/cgroup/freezer${cgroup}/freezer.state`, `/sys/fs/cgroup/unified${cgroup}/cgroup.events`];
  return states.some((file) => existsSync(file) && /FROZEN|frozen 1/.test(readFileSync(file, 'utf8')));
}
