// The network of workloads on a real kernel: modes, rates, published ports, counting, adoption and repair, each by its effect.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Network, networkFindings, type NetworkPlan, openNetwork } from '../../src/sandbox/index.ts';
import { freePort } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { GET, NetworkHost, networkTraces, openRemoteHost, type RemoteHost, until } from '../network-fixture.ts';

const MBIT = 1_000_000;
/** Of the bucket: 20 ms at the rate; and what a TCP window sends before the first loss. */
const BURST_SLACK = 2.5;

describe.skipIf(needs('root', 'nft', 'ip'))('the network of a home', () => {
  let remote: RemoteHost;
  let homeId: string;
  let network: Network;
  let hosts: NetworkHost[];

  beforeAll(async () => {
    remote = await openRemoteHost();
    await remote.host.serve(8080, 'remote');
  });

  afterAll(() => {
    remote[Symbol.dispose]();
  });

  beforeEach(async () => {
    homeId = randomBytes(3).toString('hex');
    hosts = [];
    network = await openNetwork({ homeId });
  });

  afterEach(async () => {
    await network.reconcile(new Set());
    await network[Symbol.asyncDispose]();
    for (const host of hosts) host[Symbol.dispose]();
    expect(networkTraces(homeId)).toEqual([]);
  });

  async function workload(id: string, plan: Partial<NetworkPlan> = {}): Promise<NetworkHost & { address: string }> {
    const host = await NetworkHost.open();
    hosts.push(host);
    const { address } = await network.attach({ id, homeId, pid: host.pid, ports: [], allow: [], ...plan });
    return Object.assign(host, { address });
  }

  it('lets nothing through before a mode is set, and everything outwards when it is unrestricted', async () => {
    const host = await workload('a');
    expect(await network.mode('a')).toEqual({ network: 'isolated', rateBitsPerSecond: null });
    expect(host.get(remote.address, 8080)).toBeNull();
    await network.setMode('a', 'unrestricted', null);
    expect(host.get(remote.address, 8080)).toBe('remote');
    expect(await network.mode('a')).toEqual({ network: 'unrestricted', rateBitsPerSecond: null });
  });

  it.each(['download', 'upload'] as const)('holds the %s to the rate', async (direction) => {
    const host = await workload('a');
    await network.setMode('a', 'rateLimited', 8 * MBIT);
    expect(await network.mode('a')).toEqual({ network: 'rateLimited', rateBitsPerSecond: 8 * MBIT });
    const bytes = 1_000_000;
    const fromMs = performance.now();
    const url = `http://${remote.address}:8080/${direction === 'download' ? bytes : ''}`;
    const script = direction === 'download' ? DOWNLOAD : UPLOAD;
    expect(host.run(process.execPath, '-e', script, url, String(bytes))).toBe(
      String(direction === 'download' ? bytes + 6 : 200),
    );
    const seconds = (performance.now() - fromMs) / 1000;
    // 8 Mbit/s are a million bytes a second.
    expect(seconds).toBeGreaterThan(1 / BURST_SLACK);
    await network.setMode('a', 'unrestricted', null);
    const againMs = performance.now();
    host.run(process.execPath, '-e', script, url, String(bytes));
    expect((performance.now() - againMs) / 1000).toBeLessThan(seconds);
  });

  it('cuts an established connection at once, and lets it go on when it is open again', async () => {
    const host = await workload('a');
    await network.setMode('a', 'unrestricted', null);
    const stream = host.start(process.execPath, '-e', TICKER, remote.address, '8081');
    const server = remote.host.start(process.execPath, '-e', COUNTER, '8081');
    let received = 0;
    server.stdout?.on('data', (bytes: Buffer) => (received += bytes.length));
    await until('it flows', () => received > 20);
    await network.setMode('a', 'isolated', null);
    const atCut = received;
    const before = (await network.stats()).get('a')?.droppedPackets ?? 0;
    await until(
      'its packets are refused',
      async () => ((await network.stats()).get('a')?.droppedPackets ?? 0) > before,
    );
    // What was under way before the cut may still be counted by its receiver.
    expect(received - atCut).toBeLessThan(20);
    await network.setMode('a', 'unrestricted', null);
    await until('it flows again', () => received > atCut + 40);
    stream.kill('SIGKILL');
    server.kill('SIGKILL');
  });

  it('publishes a port to this host and to others, and only that port', async () => {
    const hostPort = await freePort();
    const host = await workload('a', {
      ports: [{ hostAddress: '0.0.0.0', hostPort, containerPort: 80, protocol: 'tcp' }],
    });
    await network.setMode('a', 'unrestricted', null);
    await host.serve(80, 'published');
    await host.serve(81, 'private');
    expect(getHere('127.0.0.1', hostPort)).toBe('published');
    const near = remote.near;
    expect(remote.host.get(near, hostPort)).toBe('published');
    expect(remote.host.get(host.address, 81)).toBeNull();
    await network.setMode('a', 'isolated', null);
    expect(getHere('127.0.0.1', hostPort)).toBeNull();
    await expect(
      network.attach({
        id: 'b',
        homeId,
        pid: host.pid,
        ports: [{ hostAddress: '127.0.0.1', hostPort, containerPort: 1, protocol: 'tcp' }],
        allow: [],
      }),
    ).rejects.toMatchObject({ code: 'SANDBOX_PORT_IN_USE', exit: 6 });
    await network.detach('a');
    expect(getHere('127.0.0.1', hostPort)).toBeNull();
  });

  it('hands a port over to the next workload, which keeps it when the link that had it goes', async () => {
    const ports = [
      { hostAddress: '127.0.0.1', hostPort: await freePort(), containerPort: 80, protocol: 'tcp' as const },
    ];
    await workload('a', { ports });
    await expect(workload('b', { ports })).rejects.toMatchObject({ code: 'SANDBOX_PORT_IN_USE' });
    network.unpublish('a');
    const next = await workload('b', { ports });
    await network.setMode('b', 'unrestricted', null);
    await next.serve(80, 'next');
    await network.detach('a');
    expect(getHere('127.0.0.1', ports[0]?.hostPort ?? 0)).toBe('next');
  });

  it('refuses a port that a program of this host holds', async () => {
    using taken = await listenHere();
    const ports = [{ hostAddress: '127.0.0.1', hostPort: taken.port, containerPort: 80, protocol: 'tcp' as const }];
    await expect(workload('a', { ports })).rejects.toMatchObject({ code: 'SANDBOX_PORT_IN_USE' });
    expect(await network.mode('a')).toBeNull();
  });

  it('counts bytes, packets, destinations and what it refused', async () => {
    const host = await workload('a');
    await network.setMode('a', 'unrestricted', null);
    host.run(process.execPath, '-e', DOWNLOAD, `http://${remote.address}:8080/100000`);
    const open = (await network.stats()).get('a');
    expect(open?.rxBytes).toBeGreaterThan(100_000);
    expect(open?.txBytes).toBeGreaterThan(100);
    expect(open?.destinations).toEqual([`${remote.address}:8080/tcp`]);
    await network.setMode('a', 'isolated', null);
    host.get(remote.address, 9999);
    const cut = (await network.stats()).get('a');
    expect(cut?.droppedPackets).toBeGreaterThan(open?.droppedPackets ?? 0);
    expect(cut?.destinations).toContain(`${remote.address}:9999/tcp`);
  });

  it('takes over what an earlier supervisor made, and removes what belongs to nobody', async () => {
    const [kept, gone] = [await workload('kept'), await workload('gone')];
    await network.setMode('kept', 'rateLimited', 4 * MBIT);
    await network.setMode('gone', 'unrestricted', null);
    // The first one is left as a crash would leave it: not closed.
    network = await openNetwork({ homeId });
    expect(await network.mode('kept')).toEqual({ network: 'rateLimited', rateBitsPerSecond: 4 * MBIT });
    await network.reconcile(new Set(['kept']));
    expect(await network.mode('gone')).toBeNull();
    expect(kept.get(remote.address, 8080)).toBe('remote');
    expect(gone.get(remote.address, 8080)).toBeNull();
    await network.setMode('kept', 'isolated', null);
    expect(kept.get(remote.address, 8080)).toBeNull();
  });

  it('makes its table again when somebody has removed it', async () => {
    const [open, cut] = [await workload('open'), await workload('cut')];
    await network.setMode('open', 'unrestricted', null);
    execFileSync('nft', ['delete', 'table', 'inet', `provost_${homeId}`]);
    await network.stats();
    expect(open.get(remote.address, 8080)).toBe('remote');
    expect(cut.get(remote.address, 8080)).toBeNull();
    expect(await network.mode('open')).toEqual({ network: 'unrestricted', rateBitsPerSecond: null });
  });

  it('says what is wrong with a plan: another home, twice, an ended process, a bad destination, no rate', async () => {
    const host = await workload('a');
    const plan = { id: 'b', homeId, pid: host.pid, ports: [], allow: [] };
    await expect(network.attach({ ...plan, homeId: 'zzzzzz' })).rejects.toMatchObject({ code: 'SANDBOX_NETWORK' });
    await expect(network.attach({ ...plan, id: 'a' })).rejects.toMatchObject({ code: 'SANDBOX_NETWORK' });
    await expect(network.attach({ ...plan, allow: ['everywhere'] })).rejects.toMatchObject({
      code: 'SANDBOX_NETWORK',
      exit: 2,
    });
    await expect(network.attach({ ...plan, pid: 2 ** 22 - 1 })).rejects.toMatchObject({ code: 'SANDBOX_GONE' });
    await expect(network.setMode('a', 'rateLimited', null)).rejects.toMatchObject({ code: 'SANDBOX_NETWORK', exit: 2 });
    await expect(network.setMode('b', 'isolated', null)).rejects.toMatchObject({ code: 'SANDBOX_GONE' });
    expect(networkTraces(homeId).filter((line) => line.includes(': pv'))).toHaveLength(1);
  });

  it('is examined by doctor, which leaves nothing', async () => {
    const findings = await networkFindings();
    expect(findings.map(({ name }) => name)).toEqual([
      'network rules',
      'network forwarding',
      'network policy',
      'network shaping',
    ]);
    expect(findings.filter(({ status }) => status === 'missing')).toEqual([]);
    expect(execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' })).not.toContain('pidoctor');
  });
});

const DOWNLOAD = `fetch(process.argv[1]).then((reply) => reply.text()).then((text) => process.stdout.write(String(text.length)))`;
const UPLOAD = `
fetch(process.argv[1], { method: 'POST', body: Buffer.alloc(Number(process.argv[2])) }).then((reply) => process.stdout.write(String(reply.status)));
`;

/** Sends one byte every 5 ms. */
const TICKER = `
const [address, port] = process.argv.slice(1);
const connect = () => {
  const socket = require('node:net').connect(Number(port), address, () => setInterval(() => socket.write('x'), 5));
  socket.once('error', () => setTimeout(connect, 20));
};
connect();
`;

/** Passes on what a connection sends. */
const COUNTER = `
require('node:net').createServer((socket) => socket.pipe(process.stdout)).listen(Number(process.argv[1]), '0.0.0.0');
`;

function getHere(address: string, port: number): string | null {
  try {
    return execFileSync(process.execPath, ['-e', GET, `http://${address}:${port}/`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    // Nobody answers there.
    return null;
  }
}

async function listenHere(): Promise<{ readonly port: number } & Disposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, [Symbol.dispose]: () => void server.close() };
}
