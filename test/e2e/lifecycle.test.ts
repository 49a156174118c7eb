// The whole life of a project on a real git repository: what each record moves, by exactly what the policy promises, up to what the kernel holds.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkloadDocument } from '../../src/api/index.ts';
import { visit } from '../../src/cli/demo/visitor.ts';
import type { KeyDocument, RunPlan, VerificationDocument } from '../../src/engine/index.ts';
import { REVIEW_TYPE } from '../../src/provenance/index.ts';
import { freePort, openTestHome, until } from '../home-fixture.ts';
import {
  buildUnrecorded,
  expectStanding,
  expectStep,
  type Life,
  openLife,
  type Standing,
  type Step,
} from '../life-fixture.ts';
import { kernelLimits, shortLifePolicy } from '../loop-fixture.ts';
import { type Need, needs } from '../needs.ts';

const MIB = 1024 ** 2;
/** Often enough that each window of telemetry is an active one. */
const VISIT_EVERY_MS = 20;
/** Some seconds on a host of its own; all tests of a run share two cores. */
const LIVED_WITHIN_MS = 90_000;

const needed: readonly Need[] = [
  'root',
  'runc',
  'runsc',
  'conmon',
  'nft',
  'bpftrace',
  'busybox',
  'dpkg',
  'git',
  'ssh-keygen',
];

describe.skipIf(needs(...needed))('the life of a project', () => {
  let life: Life;
  /** What the image had earned after the step before. */
  let known: Standing;
  /** What it had earned when it was started. */
  let started: Standing;
  let visits: NodeJS.Timeout | undefined;
  const step = async (expected: Step): Promise<void> => {
    const after = await life.standing();
    expectStep(known, after, expected);
    known = after;
  };
  const record = (...args: string[]): Promise<string> => life.home.ok('record', ...args, life.image, '--key', 'ci');
  /** Whose history counts. */
  const publisher = (): string | undefined => known.score.components.reputation.evidence[0]?.source;
  const file = (name: string): string => join(life.git.root, name);
  const verify = (...more: string[]): Promise<VerificationDocument> => life.json('verify', life.image, ...more);

  beforeAll(async () => {
    life = await openLife();
  });
  afterAll(async () => {
    clearInterval(visits);
    await life[Symbol.asyncDispose]();
  });

  it('begins low: an image of which nobody says anything would get a tenth of a CPU under gVisor', async () => {
    buildUnrecorded(life);
    known = await life.standing();
    expectStanding(known, ['unsigned']);
    expect(known.score).toMatchObject({ tier: 'low', grant: { cpu: { millicores: 100 }, network: 'isolated' } });
    expect(known.plan.driver).toBe('gvisor');
    expect((await life.home.provost(['verify', life.image])).code).toBe(5);
  });

  it('is vouched for once a trusted builder records its build, of a commit that nobody recorded', async () => {
    await life.recordBuild('--product', 'dist');
    await step({
      moves: { 'build.attestation': 1, 'build.provenance': 0.5, 'reputation.publisher': 0.5 },
      caps: ['provenance-only'],
    });
    expect(known.score.tier).toBe('medium');
    expect(known.plan.driver).toBe('runc');
  });

  it('has a source once its commit is recorded, which the key of its publisher signed', async () => {
    await life.recordCommit();
    await step({
      moves: { 'build.provenance': 1, 'build.source': 1, 'build.environment': 1 },
      caps: ['provenance-only'],
    });
  });

  it('has a publisher with a history once she attests it, and is worth no more by a second signature', async () => {
    await life.home.ok('attest', life.image, '--key', 'alice');
    expect(publisher()).toBe('ci');
    await step({ moves: {}, caps: ['provenance-only'] });
    expect(publisher()).toBe('alice');
    const signers = (await verify()).signatures.map(({ keyName, status }) => `${keyName} ${status}`);
    expect(signers.toSorted()).toEqual(['alice trusted', 'ci trusted']);
  });

  it('is worth what its tests and its dependencies are', async () => {
    await life.home.ok(
      'record',
      'test',
      life.image,
      '--key',
      'ci',
      '--',
      'sh',
      '-c',
      `cd ${life.git.dir} && sh test.sh`,
    );
    await step({ moves: { 'build.tests': 1 }, caps: ['provenance-only'] });
    // Debian’s own package of busybox: its status file says no hash and no origin.
    await record('deps');
    await step({ moves: { 'build.dependencies': 0.5 }, caps: ['provenance-only'] });
  });

  it('is known in what it is packed into', async () => {
    life.git.run('tar', ['-cf', file('shop.tar'), '-C', join(life.git.dir, 'dist'), 'image']);
    await life.home.ok('record', 'package', file('shop.tar'), '--from', join(life.git.dir, 'dist'), '--key', 'ci');
    await life.home.ok('attest', file('shop.tar'), '--key', 'alice');
    const packed = await life.json<VerificationDocument>('verify', file('shop.tar'));
    const worth = Object.fromEntries(packed.evidence.map(({ check, score }) => [check, score]));
    expect(worth).toMatchObject({ 'build.provenance': 1, 'build.source': 1, 'build.environment': 1 });
    await step({ moves: {}, caps: ['provenance-only'] });
  });

  it('starts in what that is worth: half of what was asked for, held by the kernel', async () => {
    writeFileSync(file('life.yaml'), shortLifePolicy());
    const port = await freePort();
    const flags = ['--name', 'shop', '--cpu', '500m', '--memory', '128Mi', '-p', `${port}:8080`];
    started = known;
    const lines = await life.home.ok('run', '-d', ...flags, '--policy', file('life.yaml'), life.image, '--json');
    expect(JSON.parse(lines.split('\n')[0] ?? '')).toMatchObject({
      event: 'admitted',
      score: known.score.score,
      tier: 'medium',
      driver: 'runc',
      grant: { cpu: { millicores: 250 }, memory: { bytes: 64 * MIB }, network: 'rateLimited', isolation: 'container' },
    });
    const shop = await life.home.inspect('shop');
    expect(kernelLimits(shop.cgroup ?? '')).toMatchObject({ cpuMillicores: 250, memoryBytes: 64 * MIB });
    expect(await visit(port, '/')).toMatchObject({ status: 200, text: 'revision 1\n' });
    visits = setInterval(() => void visit(port, '/'), VISIT_EVERY_MS);
  });

  it('verifies whole, from the image back to the commit, in words, as an object, and drawn', async () => {
    await until('its deployment is kept', async () => kindsOf(await verify()).includes('deploy verified'));
    const document = await verify('--graph', file('chain.svg'));
    await life.home.ok('verify', life.image, '--graph', file('chain.dot'));
    expect(document.verdict).toBe('verified');
    expect(kindsOf(document).toSorted()).toEqual(
      // The image is what was built: it was packed from nothing.
      [
        'package missing',
        ...['build', 'deploy', 'deps', 'release', 'source', 'test'].map((kind) => `${kind} verified`),
      ].toSorted(),
    );
    expect(readFileSync(file('chain.svg'), 'utf8')).toContain('verified</title>');
    expect(readFileSync(file('chain.dot'), 'utf8')).toMatch(/^digraph chain \{/);
  });

  it(
    'stays medium however well it behaves, until somebody else stands behind it',
    { timeout: LIVED_WITHIN_MS },
    async () => {
      const shop = (): Promise<WorkloadDocument> => life.home.inspect('shop');
      await until('it has earned all that provenance alone may have', async () => (await shop()).score === 0.8);
      expect(await shop()).toMatchObject({ grantedTier: 'medium' });
      const review = JSON.stringify({ summary: 'read every line' });
      const args = ['attest', life.image, '--key', 'lead', '--predicate-type', REVIEW_TYPE, '--predicate', '-'];
      expect(await life.home.provost(args, { input: review })).toMatchObject({ code: 0 });
      await until('it is high', async () => (await shop()).grantedTier === 'high');
      const raised = await shop();
      expect(raised.effective).toMatchObject({ cpuMillicores: 500, memoryBytes: 128 * MIB, network: 'unrestricted' });
      expect(kernelLimits(raised.cgroup ?? '')).toMatchObject({ cpuMillicores: 500, memoryBytes: 128 * MIB });
      const { caps } = (await life.standing()).score;
      expect(caps).toEqual([]);
    },
  );

  it.each([
    ['on the host', []],
    ['in a sandbox', ['--isolated']],
  ])(
    'comes out the same when another builder builds it %s, which counts as much as a review',
    async (_where, flags) => {
      writeFileSync(file('unread.yaml'), shortLifePolicy({ 'liftedByReview: true': 'liftedByReview: false' }));
      const capsUnread = async (): Promise<string[]> => {
        const plan = await life.json<RunPlan>('run', '--dry-run', '--policy', file('unread.yaml'), life.image);
        return plan.score.caps.map(({ id }) => id);
      };
      const isFirst = !kindsOf(await verify()).includes('reproduction verified');
      expect(await capsUnread()).toEqual(isFirst ? ['provenance-only'] : []);
      const args = ['reproduce', life.image, '--repository', life.git.dir, '--key', 'bob', ...flags];
      expect(await life.home.ok(...args)).toMatch(
        /^same {2}oci:dist\/image\n.*reproduced from \w{12}, signed with bob/s,
      );
      expect(await capsUnread()).toEqual([]);
    },
  );

  it('is taken for what it is on another host, offline, by receipts of this home’s log', async () => {
    await using other = openTestHome();
    const files = ['--export', file('shop.intoto.jsonl'), '--receipts', file('shop.receipts.jsonl')];
    await life.home.ok('verify', life.image, ...files);
    const keysDir = join(life.home.dir, 'keys');
    for (const line of (await life.home.ok('key', 'list', '--json')).trim().split('\n')) {
      const { name, keyId, trust } = JSON.parse(line) as KeyDocument;
      if (trust !== null)
        await other.ok('key', 'trust', join(keysDir, `${keyId}.pub`), '--name', name, '--role', trust.role);
    }
    const attested = ['verify', life.image, '--attestations', file('shop.intoto.jsonl'), '--json'];
    const receipts = ['--receipts', file('shop.receipts.jsonl'), '--log-key'];
    const logKey = readFileSync(join(life.home.dir, 'log/key.pub'), 'utf8').trim();
    const theirs = JSON.parse(await other.ok(...attested, ...receipts, logKey)) as VerificationDocument;
    const ours = await verify();
    const worth = ({ evidence }: VerificationDocument) => evidence.map(({ check, score }) => [check, score]);
    expect([theirs.verdict, worth(theirs), theirs.caps]).toEqual(['verified', worth(ours), ours.caps]);
    // The same receipts by the word of another log.
    const stranger = readFileSync(join(other.dir, 'log/key.pub'), 'utf8').trim();
    expect((await other.provost([...attested, ...receipts, stranger])).code).toBe(4);
  });

  it('falls to nothing, also where it runs, once the key of its builder is revoked', async () => {
    await life.home.ok('key', 'revoke', 'ci', '--reason', 'stolen');
    await until('it is contained', async () => (await life.home.inspect('shop')).state === 'contained');
    const [revoked, after] = [await life.home.provost(['verify', life.image]), await life.standing()];
    expect(revoked).toMatchObject({ code: 4, stdout: expect.stringContaining('\nrevoked\n') as unknown });
    expect(after.score).toMatchObject({ score: 0, tier: 'low' });
    expect(after.score.caps[0]).toMatchObject({ id: 'revoked-key', max: 0 });
    expect(await life.home.inspect('shop')).toMatchObject({ score: 0, exit: { reason: 'terminated' } });
  });

  it('is decided again from the log, each time the same', async () => {
    const decided = (await life.home.ok('replay', '--json')).trim().split('\n');
    const all = decided.map((line) => JSON.parse(line) as { workload: string; score: number; same: boolean });
    expect(all.filter(({ same }) => !same)).toEqual([]);
    const scores = all.filter(({ workload }) => workload === 'shop').map(({ score }) => score);
    // Its start, its raise, its end.
    expect(scores.length).toBeGreaterThanOrEqual(3);
    expect([scores[0], scores.at(-1)]).toEqual([started.score.score, 0]);
    expect(Math.max(...scores)).toBeGreaterThan(0.8);
    expect(await life.home.ok('log', 'verify')).toMatch(/^provost\/home\/\w+: \d+ entries, root/);
  });
});

describe.skipIf(needs(...needed))('what is not as it should be in a life', () => {
  let life: Life;
  const page = (): string => join(life.git.dir, 'www/index.html');

  beforeAll(async () => {
    life = await openLife({ isSigned: false });
    await life.recordBuild();
  });
  afterAll(() => life[Symbol.asyncDispose]());

  it('is half a source where nobody signed the commit', async () => {
    const before = await life.standing();
    await life.recordCommit();
    expectStep(before, await life.standing(), {
      moves: { 'build.provenance': 1, 'build.source': 0.5, 'build.environment': 1 },
      caps: ['provenance-only'],
    });
  });

  it('is no test where one failed, whatever passed before', async () => {
    const before = await life.standing();
    const test = (...command: string[]) =>
      life.home.provost(['record', 'test', life.image, '--key', 'ci', '--', ...command]);
    expect(await test('true')).toMatchObject({ code: 0 });
    const passed = await life.standing();
    expectStep(before, passed, { moves: { 'build.tests': 1 }, caps: ['provenance-only'] });
    expect(await test('false')).toMatchObject({ code: 1, stdout: expect.stringMatching(/^FAILED\n/) as unknown });
    expectStep(passed, await life.standing(), { moves: { 'build.tests': 0 }, caps: ['provenance-only'] });
  });

  it('is an image of which nobody says anything, or none at all, once a byte of it was changed', async () => {
    writeFileSync(page(), 'revision 2\n');
    buildUnrecorded(life);
    const blobs = join(life.git.dir, 'dist/image/blobs/sha256');
    const layer = join(blobs, readdirSync(blobs).find((name) => statSync(join(blobs, name)).size > MIB) ?? '');
    const bytes = readFileSync(layer);
    writeFileSync(layer, Buffer.concat([bytes.subarray(0, -1), Buffer.from([1])]));
    expect(await life.home.provost(['verify', life.image])).toMatchObject({ code: 4, stdout: '' });
    writeFileSync(layer, bytes);
    expect(await life.home.provost(['verify', life.image])).toMatchObject({ code: 5 });
    expectStanding(await life.standing(), ['unsigned']);
  });

  it('is a builder that lies, whom nobody else can follow', async () => {
    // Git is told not to look: its status, and so the statement, says that all is as in the commit.
    life.git.git('update-index', '--assume-unchanged', 'www/index.html');
    writeFileSync(page(), 'not what was committed\n');
    await life.recordBuild();
    const { caps } = (await life.standing()).score;
    const args = ['reproduce', life.image, '--repository', life.git.dir, '--key', 'bob'];
    expect(await life.home.provost(args)).toMatchObject({
      code: 8,
      stdout: expect.stringMatching(/^differs: .*\nnot reproduced .*; nothing is attested\n$/) as unknown,
    });
    expect((await life.standing()).score.caps).toEqual(caps);
    expect(caps.map(({ id }) => id)).toEqual(['provenance-only']);
  });
});

function kindsOf({ chain }: VerificationDocument): string[] {
  const links = chain.links.flatMap(({ kind, status, leadsTo }) => [
    `${kind} ${status}`,
    ...leadsTo.flatMap((node) => kindsOf({ chain: node } as VerificationDocument)),
  ]);
  return [...new Set(links)];
}
