// What a workload must not reach in any mode: this host, its metadata service, other workloads; and what it must not pretend to be.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Network, type NetworkPlan, openNetwork } from '../../src/sandbox/index.ts';
import { needs } from '../needs.ts';
import {
  type HostService,
  NetworkHost,
  networkTraces,
  openHostService,
  openRemoteHost,
  type RemoteHost,
  until,
} from '../network-fixture.ts';

const MODES = [
  ['unrestricted', null],
  ['rateLimited', 10_000_000],
  ['isolated', null],
] as const;

describe.skipIf(needs('root', 'nft', 'ip'))('a workload on the network', () => {
  let remote: RemoteHost;
  let service: HostService;
  let homeId: string;
  let network: Network;
  let hosts: NetworkHost[];

  beforeAll(async () => {
    remote = await openRemoteHost();
    await remote.host.serve(8080, 'remote');
    service = await openHostService('host');
  });

  afterAll(() => {
    service[Symbol.dispose]();
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

  /** Addresses of this host: of its end of the link, of its own links, and of its end of the remote's. */
  function addressesOfHost({ address }: { readonly address: string }): string[] {
    const gateway = address.replace(/\.\d+$/, '.1');
    return [gateway, remote.near];
  }

  it.each(MODES)('does not reach the services of this host when it is %s', async (mode, rate) => {
    const host = await workload('a');
    await network.setMode('a', mode, rate);
    for (const address of addressesOfHost(host)) expect(host.get(address, service.port)).toBeNull();
    expect(service.requests()).toBe(0);
  });

  it('reaches the one that the policy allows, and no other port', async () => {
    const near = remote.near;
    const { port } = service;
    const host = await workload('a', { allow: [`${near}:${port}/tcp`] });
    await network.setMode('a', 'unrestricted', null);
    expect(host.get(near, port)).toBe('host');
    expect(host.get(near, port === 22 ? 23 : 22)).toBeNull();
    await network.setMode('a', 'isolated', null);
    expect(host.get(near, port)).toBeNull();
    await until('it was heard', () => service.requests() === 1);
  });

  it.each(MODES)('does not reach another workload when it is %s', async (mode, rate) => {
    const [a, b] = [await workload('a'), await workload('b')];
    await b.serve(80, 'other');
    for (const id of ['a', 'b']) await network.setMode(id, mode, rate);
    expect(a.get(b.address, 80)).toBeNull();
    expect(b.get('127.0.0.1', 80)).toBe('other');
  });

  it('does not reach a workload of another home', async () => {
    const otherId = randomBytes(3).toString('hex');
    const other = await openNetwork({ homeId: otherId });
    try {
      const theirs = await NetworkHost.open();
      hosts.push(theirs);
      const { address } = await other.attach({ id: 'x', homeId: otherId, pid: theirs.pid, ports: [], allow: [] });
      await other.setMode('x', 'unrestricted', null);
      await theirs.serve(80, 'theirs');
      const host = await workload('a');
      await network.setMode('a', 'unrestricted', null);
      expect(host.get(address, 80)).toBeNull();
      expect(host.get(remote.address, 8080)).toBe('remote');
    } finally {
      await other.reconcile(new Set());
      await other[Symbol.asyncDispose]();
    }
  });

  it('does not reach link-local addresses, where clouds keep their credentials', async () => {
    // A service there on this host would be the cloud's; that it hears nothing is the effect.
    const metadata = remote.host;
    metadata.run('ip', 'addr', 'add', '169.254.169.254/32', 'dev', 'lo');
    const host = await workload('a');
    await network.setMode('a', 'unrestricted', null);
    const before = (await network.stats()).get('a')?.droppedPackets ?? 0;
    expect(host.get('169.254.169.254', 8080)).toBeNull();
    expect((await network.stats()).get('a')?.droppedPackets).toBeGreaterThan(before);
  });

  it('cannot send under another address', async () => {
    const [a, b] = [await workload('a'), await workload('b')];
    await network.setMode('a', 'unrestricted', null);
    await network.setMode('b', 'isolated', null);
    expect(a.get(remote.address, 8080)).toBe('remote');
    const gateway = a.address.replace(/\.\d+$/, '.1');
    const mac = /lladdr (\S+)/.exec(a.run('ip', 'neigh', 'show', gateway) ?? '')?.[1] ?? '';
    // Once with the address of the other, which is cut off, and once with one from nowhere.
    for (const stolen of [b.address, '203.0.113.7']) {
      a.run('ip', 'addr', 'flush', 'dev', 'eth0');
      a.run('ip', 'addr', 'add', `${stolen}/32`, 'dev', 'eth0');
      a.run('ip', 'route', 'add', gateway, 'dev', 'eth0');
      // This host answers no question for its hardware address from there; the attacker knows it already.
      a.run('ip', 'neigh', 'replace', gateway, 'lladdr', mac, 'dev', 'eth0');
      a.run('ip', 'route', 'add', 'default', 'via', gateway);
      const before = (await network.stats()).get('a')?.droppedPackets ?? 0;
      expect(a.get(remote.address, 8080)).toBeNull();
      await until('it is refused', async () => ((await network.stats()).get('a')?.droppedPackets ?? 0) > before);
    }
  });

  it('has no IPv6', async () => {
    const host = await workload('a');
    await network.setMode('a', 'unrestricted', null);
    expect(host.run('ip', '-6', 'addr', 'show', 'dev', 'eth0')).toBe('');
    host.run('ip', '-6', 'addr', 'add', 'fd00::2/64', 'dev', 'eth0', 'nodad');
    const before = (await network.stats()).get('a')?.droppedPackets ?? 0;
    host.run(process.execPath, '-e', SEND_V6);
    await until('it is refused', async () => ((await network.stats()).get('a')?.droppedPackets ?? 0) > before);
  });

  it('is not reached by anybody but on published ports', async () => {
    const host = await workload('a');
    await network.setMode('a', 'unrestricted', null);
    await host.serve(80, 'private');
    remote.host.run('ip', 'route', 'replace', `${host.address}/32`, 'via', remote.near);
    expect(remote.host.get(host.address, 80)).toBeNull();
  });

  it('does not make this host a router for others', async () => {
    const host = await workload('a');
    using second = await openRemoteHost();
    await second.host.serve(8080, 'second');
    await network.setMode('a', 'unrestricted', null);
    // Provost turned forwarding on for the workload's answers; two strangers must not profit from it.
    expect(host.get(second.address, 8080)).toBe('second');
    expect(remote.host.get(second.address, 8080)).toBeNull();
  });
});

const SEND_V6 = `
const socket = require('node:dgram').createSocket('udp6');
socket.send('x', 9, 'fd00::1', () => socket.close());
socket.on('error', () => process.exit(1));
`;
