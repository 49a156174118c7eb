// A real sandbox on a real link: its windows tell how many connections it began, how many were refused, and which names it asked for.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Window } from '../../src/behaviour/index.ts';
import { collectWindow, type Network, openNetwork, type Sandbox } from '../../src/sandbox/index.ts';
import { needs } from '../needs.ts';
import { networkTraces, openRemoteHost, type RemoteHost, until } from '../network-fixture.ts';
import { openSandboxHost, type SandboxHost } from '../sandbox-fixture.ts';

/** Says that no such name exists, whatever it is asked. */
const RESOLVER = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (question, { port, address }) => {
  question.writeUInt16BE(0x8183, 2);
  socket.send(question, port, address);
}).bind(53, '0.0.0.0', () => console.log('ready'));
`;

describe.skipIf(needs('root', 'nft', 'ip', 'runc', 'conmon', 'busybox'))('the windows of a sandbox', () => {
  let remote: RemoteHost;
  let host: SandboxHost;
  let network: Network;

  beforeEach(async () => {
    remote = await openRemoteHost();
    const resolver = remote.host.start(process.execPath, '-e', RESOLVER);
    await new Promise((resolve) => resolver.stdout?.once('data', resolve));
    await remote.host.serve(8080);
    host = openSandboxHost();
    network = await openNetwork({ homeId: host.homeId });
  });

  afterEach(async () => {
    await network.reconcile(new Set());
    await network[Symbol.asyncDispose]();
    await host[Symbol.asyncDispose]();
    remote[Symbol.dispose]();
    expect([...networkTraces(host.homeId), ...host.traces()]).toEqual([]);
  });

  it.each(['unrestricted', 'rateLimited'] as const)('count what it asked of others exactly, %s', async (mode) => {
    const sandbox = await host.create('runc', { argv: ['/bin/sh', '-c', scriptFor(remote.address)] });
    const id = sandbox.record.id;
    await network.attach({ id, homeId: host.homeId, pid: sandbox.record.pid, ports: [], allow: [] });
    await network.setMode(id, mode, mode === 'rateLimited' ? 10_000_000 : null);
    const before = { stats: sandbox.stats(), network: (await network.stats()).get(id) ?? null };
    await sandbox.start();
    await until('it is done', async () => (await host.output(sandbox)).includes('done'));
    const window = await windowSince(sandbox, before);
    expect(window).toMatchObject({
      // Six to the server, four to a closed port, and one for each question, as each comes from a socket of its own.
      begunFlows: 6 + 4 + 5,
      rebuffedFlows: 4,
      dnsQuestions: 5,
      dnsMissed: 0,
      dnsNames: ['n1.zone.test', 'n2.zone.test', 'n3.zone.test', 'n4.zone.test', 'n5.zone.test'],
    });
    expect([...window.newDestinations].sort()).toEqual(
      ['53/udp', '8080/tcp', '9/tcp'].map((end) => `${remote.address}:${end}`),
    );
    const calm = await windowSince(sandbox, {
      stats: sandbox.stats(),
      network: (await network.stats()).get(id) ?? null,
    });
    expect(calm).toMatchObject({ begunFlows: 0, rebuffedFlows: 0, dnsQuestions: 0, dnsNames: [] });
  });

  async function windowSince(sandbox: Sandbox, before: Parameters<typeof collectWindow>[0]['before']): Promise<Window> {
    const after = { stats: sandbox.stats(), network: (await network.stats()).get(sandbox.record.id) ?? null };
    return collectWindow({ startMs: 0, endMs: 1000, before, after, reading: null, driver: 'runc' });
  }
});

function scriptFor(address: string): string {
  return [
    `for n in 1 2 3 4 5 6; do wget -q -O /dev/null http://${address}:8080/; done`,
    `for n in 1 2 3 4; do nc -w 1 ${address} 9 < /dev/null; done`,
    `for n in 1 2 3 4 5; do nslookup -type=a n$n.zone.test ${address} > /dev/null; done`,
    'echo done',
    'sleep 1000',
  ].join('\n');
}
