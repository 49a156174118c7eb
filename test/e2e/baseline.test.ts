// A baseline travels: learnt on one home while a person watches, signed, taken over by another, which knows from the first second what is odd.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BaselineDocument, EventOf, LearningDocument, WorkloadEvent } from '../../src/api/index.ts';
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
    loop = await openLoop(['a']);
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
    expect(odd?.reasons?.join(' ')).toMatch(/written|dd/);
    expect(readFileSync(file, 'utf8')).toContain('payloadType');
  });
});
