// What workloads ask of others, on a real kernel: connections begun and refused and questions to the DNS, counted against known numbers.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Network, type NetworkStats, openNetwork } from '../../src/sandbox/index.ts';
import { needs } from '../needs.ts';
import { NetworkHost, networkTraces, openRemoteHost, type RemoteHost, until } from '../network-fixture.ts';

/** Connects so many times to a port, one after the other, and tells how many were refused. */
const CONNECT = `
const [address, port, count] = process.argv.slice(1);
const once = () => new Promise((resolve) => {
  const socket = require('node:net').connect({ host: address, port: Number(port) });
  socket.once('connect', () => socket.end()).once('close', (failed) => resolve(failed ? 1 : 0)).on('error', () => {}).resume();
});
(async () => {
  let refused = 0;
  for (let n = 0; n < Number(count); n++) refused += await once();
  console.log(refused);
})();
`;

/** Sends datagrams given in hex to port 53 of an address, or to another one, each from the same socket. */
const ASK = `
const [[address, port], ...packets] = [process.argv[1].split(':'), ...process.argv.slice(2)];
const socket = require('node:dgram').createSocket('udp4');
(async () => {
  for (const packet of packets) {
    const [hex, times] = packet.split('*');
    const bytes = Buffer.from(hex, 'hex');
    for (let n = 0; n < Number(times ?? 1); n++) await new Promise((resolve) => socket.send(bytes, Number(port ?? 53), address, resolve));
  }
  socket.close();
})();
`;

/** Answers nothing, and tells that it listens and how much came. */
const RESOLVER = `
let count = 0;
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', () => console.log(++count)).bind(53, '0.0.0.0', () => console.log('ready'));
`;

function query(...labels: readonly string[]): string {
  const name = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  const header = Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, ...name, Buffer.from([0, 0, 1, 0, 1])]).toString('hex');
}

describe.skipIf(needs('root', 'nft', 'ip'))('what a workload asks of others', () => {
  let remote: RemoteHost;
  let homeId: string;
  let network: Network;
  let hosts: NetworkHost[];

  beforeEach(async () => {
    remote = await openRemoteHost();
    const resolver = remote.host.start(process.execPath, '-e', RESOLVER);
    let said = '';
    resolver.stdout?.on('data', (bytes: Buffer) => (said += bytes.toString('latin1')));
    await until('the resolver listens', () => said.includes('ready'));
    await remote.host.serve(8080);
    homeId = randomBytes(3).toString('hex');
    hosts = [];
    network = await openNetwork({ homeId });
  });

  afterEach(async () => {
    await network.reconcile(new Set());
    await network[Symbol.asyncDispose]();
    for (const host of hosts) host[Symbol.dispose]();
    remote[Symbol.dispose]();
    expect(networkTraces(homeId)).toEqual([]);
  });

  async function openWorkload(id: string): Promise<NetworkHost> {
    const host = await NetworkHost.open();
    hosts.push(host);
    await network.attach({ id, homeId, pid: host.pid, ports: [], allow: [] });
    await network.setMode(id, 'unrestricted', null);
    return host;
  }

  async function statsOf(id: string): Promise<NetworkStats> {
    const stats = (await network.stats()).get(id);
    if (stats === undefined) throw new Error(`no figures of ${id}`);
    return stats;
  }

  it('counts connections begun and refused exactly, each for its own workload', async () => {
    const [one, other] = [await openWorkload('one'), await openWorkload('other')];
    expect(await statsOf('one')).toMatchObject({ begunFlows: 0, rebuffedFlows: 0, questions: 0 });
    expect(one.run(process.execPath, '-e', CONNECT, remote.address, '8080', '20')).toBe('0\n');
    expect(one.run(process.execPath, '-e', CONNECT, remote.address, '9', '15')).toBe('15\n');
    expect(other.run(process.execPath, '-e', CONNECT, remote.address, '8080', '3')).toBe('0\n');
    expect(await statsOf('one')).toMatchObject({ begunFlows: 35, rebuffedFlows: 15 });
    expect(await statsOf('other')).toMatchObject({ begunFlows: 3, rebuffedFlows: 0 });
  });

  it('counts a connection that others reset once it stood as begun, and not as refused', async () => {
    const one = await openWorkload('one');
    const reset = `require('node:net').createServer((s) => s.resetAndDestroy()).listen(8081, () => console.log('ready'))`;
    const server = remote.host.start(process.execPath, '-e', reset);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
    one.run(process.execPath, '-e', CONNECT, remote.address, '8081', '5');
    expect(await statsOf('one')).toMatchObject({ begunFlows: 5, rebuffedFlows: 0 });
  });

  it('counts datagrams that an ICMP error answers as refused, and asks nothing of the DNS at other ports', async () => {
    const one = await openWorkload('one');
    one.run(process.execPath, '-e', ASK, `${remote.address}:9`, query('name', 'test'));
    expect(await statsOf('one')).toMatchObject({ begunFlows: 1, rebuffedFlows: 1, questions: 0, recentNames: [] });
  });

  it('counts every question, and reads the names of those that are well formed', async () => {
    const one = await openWorkload('one');
    const names = Array.from({ length: 50 }, (_, n) => query(`name${n}`, 'Example', 'test'));
    one.run(process.execPath, '-e', ASK, remote.address, ...names);
    const stats = await statsOf('one');
    expect(stats).toMatchObject({
      questions: 50,
      questionsRead: 50,
      questionsMissed: 0,
      rebuffedFlows: 0,
      begunFlows: 1,
    });
    expect(stats.recentNames).toEqual(Array.from({ length: 50 }, (_, n) => `name${n}.example.test`));
    expect((await statsOf('one')).recentNames).toBe(stats.recentNames);
  });

  it('takes no harm from questions that are none: loops of pointers, names of 64 KiB, cut off, answers', async () => {
    const one = await openWorkload('one');
    const header = '123401000001000000000000';
    const bad = [
      `${header}c00c00010001`,
      `${header}${'3f'.repeat(65_000)}`,
      header,
      '00',
      `1234800000010000000000000161000001`,
    ];
    await statsOf('one');
    one.run(process.execPath, '-e', ASK, remote.address, query('good', 'test'), ...bad, query('a b\n', 'test'));
    const stats = await statsOf('one');
    expect(stats.recentNames).toEqual(['good.test', 'a\\032b\\010.test']);
    expect(stats).toMatchObject({ questions: 7, questionsRead: 2, questionsMissed: 5 });
  });

  it('counts a flood whole, reads a bounded part of it, and goes on reading the names of others', async () => {
    const [flood, calm] = [await openWorkload('flood'), await openWorkload('calm')];
    await statsOf('flood');
    flood.run(process.execPath, '-e', ASK, remote.address, `${query('flood', 'test')}*20000`);
    calm.run(process.execPath, '-e', ASK, remote.address, query('calm', 'test'));
    const stats = await statsOf('flood');
    expect(stats.questions).toBe(20_000);
    expect(stats.questionsRead + stats.questionsMissed).toBe(20_000);
    expect(stats.questionsRead).toBeGreaterThan(100);
    expect(stats.questionsRead).toBeLessThan(5000);
    expect((await statsOf('calm')).recentNames).toEqual(['calm.test']);
  });

  it('counts on, without names, while another process reads those of this home', async () => {
    const one = await openWorkload('one');
    await statsOf('one');
    await using second = await openNetwork({ homeId });
    one.run(process.execPath, '-e', ASK, remote.address, query('first', 'test'));
    expect((await second.stats()).get('one')).toMatchObject({ questions: 1, questionsRead: 0, recentNames: [] });
    expect(await statsOf('one')).toMatchObject({ questions: 1, questionsRead: 1, recentNames: ['first.test'] });
  });
});
