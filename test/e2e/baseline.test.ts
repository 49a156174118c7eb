// A baseline travels: learnt on one home while a person watches, signed, taken over by another, which knows from the first second what is odd.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BaselineDocument, EventOf, LearningDocument, ScoreDocument, WorkloadEvent } from '../../src/api/index.ts';
import { Client } from '../../src/cli/client.ts';
import { runTranscript } from '../cli/transcript.ts';
import { openTestHome, type TestHome, until } from '../home-fixture.ts';
import { type Loop, openLoop, shortPolicy } from '../loop-fixture.ts';
import { needs } from '../needs.ts';

/** Writes much more than the program of the image ever does, with a program that it never starts. */
const ODD = 'while :; do dd if=/dev/zero of=/tmp/odd bs=1M count=20; sleep 0.05; done';

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'busybox'))('a baseline', () => {
  let loop: Loop;
  let other: TestHome;
  let image: string;
  let file: string;
  beforeAll(async () => {
    loop = await openLoop(['a', 'b', 'c']);
    other = openTestHome();
    image = `oci:${loop.home.dir}-work/image-a`;
    file = join(other.dir, 'web.baseline.json');
    await other.ok('key', 'generate', 'bob');
    await other.ok('key', 'trust', 'bob');
    await other.ok('attest', image, '--key', 'bob');
    writeFileSync(join(other.dir, 'short.yaml'), shortPolicy());
  });
  afterAll(async () => {
    await other[Symbol.asyncDispose]();
    await loop[Symbol.asyncDispose]();
  });

  /** The first windows of a new instance that does what nobody saw before. */
  async function firstWindows(name: string): Promise<EventOf<'window'>[]> {
    const client = new Client(join(other.dir, 'provost.sock'));
    const ending = new AbortController();
    const windows: EventOf<'window'>[] = [];
    const watching = (async () => {
      for await (const { value } of client.events(`/v1/events?workload=${name}`, ending.signal)) {
        const event = value as WorkloadEvent;
        if (event.event === 'window') windows.push(event);
      }
    })().catch(() => undefined);
    const policy = join(other.dir, 'short.yaml');
    const flags = ['--detach', '--name', name, '--policy', policy, '--memory', '128Mi', '--disk', '64Mi'];
    await other.ok('run', ...flags, image, '--', 'sh', '-c', ODD);
    await until('three windows were judged', () => windows.length >= 3);
    ending.abort();
    await watching;
    await other.ok('rm', '-f', name);
    return windows;
  }

  it('is learnt while it is watched, earns nothing meanwhile, and is signed for others', async () => {
    await loop.run({ name: 'web' });
    loop.order('web', 'work');
    await until('it has begun', async () => ((await loop.inspect('web')).usage?.cpuMillicores ?? 0) > 10);
    await loop.home.ok('key', 'generate', 'olga');
    const learning = loop.home.ok('baseline', 'learn', 'web', '--for', '1m', '--windows', '60', '--json');
    const learnt = JSON.parse(await learning) as LearningDocument;
    expect(learnt).toMatchObject({ ended: 'windows', learnt: 60, violating: 0, workload: 'web' });
    expect(learnt.baselines).toEqual([expect.objectContaining({ driver: 'runc' })]);
    const shown = JSON.parse(await loop.home.ok('baseline', 'show', image, '--json')) as BaselineDocument;
    expect(shown.windows).toBeGreaterThanOrEqual(60);
    expect(shown).toMatchObject({
      isJudging: true,
      imported: null,
      phases: [{ windows: 60, logIndex: learnt.logIndex }],
    });
    expect(shown.calls).toContain('execve');
    await runTranscript(
      loop.home,
      `
$ provost baseline show web
oci:<image>  sha256:<digest>
sandbox   runc (<architecture>)
learnt    <n> windows; judges new windows among <n>
calls     <names>
...
model     <hex>
from      learnt here
vouched   60 windows at <time>: observed by a person (entry <n>)
$ provost baseline export web --key olga --out ${file}
oci:<image>  sha256:<digest>
signed with olga (entry <n>), written to ${file}
`,
    );
  });

  it('judges a new instance elsewhere from its first second, and gives it no trust', async () => {
    const before = await firstWindows('before');
    expect(before.map(({ anomaly }) => anomaly)).toEqual(before.map(() => 0));
    const key = JSON.parse(await loop.home.ok('attest', image, '--key', 'olga', '--json')) as { keyId: string };
    const publicKey = join(loop.home.dir, 'keys', `${key.keyId}.pub`);
    const score = async (): Promise<unknown> => JSON.parse(await other.ok('score', image, '--json')) as unknown;
    await runTranscript(
      other,
      `
$ provost baseline import ${file}
! provost: the log does not take this envelope: signed by key <id>, which this host does not know
!   Sign it with a key that is trusted here for its predicate type: provost key trust.
!   (PROVENANCE_UNTRUSTED, exit 3)
? 3
`,
    );
    await other.ok('key', 'trust', publicKey, '--name', 'olga', '--role', 'operator');
    const unmoved = await score();
    await runTranscript(
      other,
      `
$ provost baseline import ${file}
! provost: there is a baseline of sha256:<digest> here already, of <n> windows under runc
!   Look at it (provost baseline show), and say --replace to put this one in its place.
!   (ENGINE_BASELINE_KNOWN, exit 3)
? 3
$ provost baseline import ${file} --artifact ${image} --replace --reason "learnt under real load"
oci:<image>  sha256:<digest>
runc knows <n> windows, in place of <n>, signed by olga (entry <n>)
`,
    );
    expect(await score()).toEqual(unmoved);
    const after = await firstWindows('after');
    const [odd] = after.filter(({ anomaly }) => anomaly > 0);
    expect(odd?.anomaly).toBeGreaterThan(0.95);
    expect(after.indexOf(odd as EventOf<'window'>)).toBeLessThanOrEqual(1);
    expect(odd?.reasons?.join(' ')).toMatch(/never seen before|written/);
    expect(readFileSync(file, 'utf8')).toContain('payloadType');
  });

  /** Starts a phase; `seen` is told each window that it learnt. */
  async function learn(
    name: string,
    windowsMax: number,
    seen: (learnt: number) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<LearningDocument> {
    const bounds = { forMs: 60_000, windowsMax };
    const body = { subject: name, reference: name, rootfs: false, ...bounds, reason: 'a test', key: null };
    const call = { method: 'POST', path: '/v1/baselines/learn', body } as const;
    for await (const line of loop.client.lines(signal === undefined ? call : { ...call, signal })) {
      const one = line as { learnt?: number; result?: LearningDocument; error?: { code: string } };
      if (one.error !== undefined) throw new Error(one.error.code);
      if (one.result !== undefined) return one.result;
      await seen(one.learnt ?? 0);
    }
    throw new Error('it said nothing at the end');
  }

  it('is learnt without earning trust, by one person at a time, and until nothing runs any more', async () => {
    await loop.run({ name: 'young', image: 'b' });
    loop.order('young', 'work');
    const reference = `oci:${loop.home.dir}-work/image-b`;
    const runtime = async (): Promise<number> => {
      const path = `/v1/artifacts/score?reference=${encodeURIComponent(reference)}`;
      const score = await loop.client.call<ScoreDocument>({ method: 'GET', path });
      return score.components.runtime?.score ?? -1;
    };
    const leaving = new AbortController();
    await expect(
      learn('young', 10_000, (count) => Promise.resolve(count === 2 ? leaving.abort() : undefined), leaving.signal),
    ).rejects.toThrow();
    await until('who left is known to have left', async () => {
      const [shown] = await loop.client.call<BaselineDocument[]>({
        method: 'GET',
        path: `/v1/baselines?subject=young&reference=young`,
      });
      return shown?.phases.length === 1;
    });
    const trust: number[] = [];
    const ending: Promise<string>[] = [];
    const learnt = await learn('young', 10_000, async (count) => {
      // A window that taught nothing says the same count again.
      if ((count !== 3 && count !== 12) || trust.length === (count === 3 ? 1 : 2)) return;
      trust.push(await runtime());
      if (count === 3) await expect(learn('young', 1, () => Promise.resolve())).rejects.toThrow('ENGINE_LEARNING');
      if (count === 12) ending.push(loop.home.ok('stop', 'young'));
    });
    expect(await Promise.all(ending)).toHaveLength(1);
    expect(learnt).toMatchObject({ ended: 'stopped', workload: 'young' });
    expect(trust).toEqual([trust[0], trust[0]]);
    expect(trust[0]).toBeGreaterThan(0);
  });

  it('never holds what broke a rule, and the rule acts while it is learnt', async () => {
    await loop.run({ name: 'thief', image: 'c' });
    loop.order('thief', 'work');
    const learnt = await learn('thief', 40, async (count) => {
      if (count === 5) loop.order('thief', 'shadow');
      await Promise.resolve();
    }).catch((error: unknown) => error);
    await until('the rule has acted', async () => (await loop.incidents('thief')).length > 0);
    const [incident] = await loop.incidents('thief');
    expect(incident).toMatchObject({ kind: 'credential-access' });
    expect(learnt).toMatchObject({ violating: expect.any(Number) as number });
    expect((learnt as LearningDocument).violating).toBeGreaterThan(0);
    const reference = `oci:${loop.home.dir}-work/image-c`;
    const shown = await loop.home.provost(['baseline', 'show', reference, '--json']);
    expect(shown.stdout).not.toContain('shadow');
  });
});
