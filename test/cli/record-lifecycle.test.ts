// Tests, packages and deployments recorded from the command line.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Digest, digestOf, tarOf, writeOciLayout } from '../../src/artifact/index.ts';
import { openJournalReader } from '../../src/ledger/index.ts';
import {
  openAttestationStore,
  parseEnvelope,
  parseLeaf,
  parseStatement,
  type Statement,
} from '../../src/provenance/index.ts';
import { openTestHome, type TestHome, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { runTranscript } from './transcript.ts';

const JUNIT = '<testsuite><testcase name="a"/><testcase name="b"><OUTCOME/></testcase></testsuite>';

describe.skipIf(needs('root', 'runc', 'conmon', 'nft'))('what is recorded of an artifact', () => {
  let home: TestHome;
  let app: string;
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript);
  const about = (digest: Digest, part: string): Statement[] =>
    openAttestationStore(join(home.dir, 'attestations'))
      .list(digest)
      .map(({ bytes }) => parseStatement(parseEnvelope(bytes).payload))
      .filter(({ predicateType }) => predicateType.includes(part));

  beforeAll(async () => {
    home = openTestHome();
    app = join(home.dir, 'app');
    writeFileSync(app, 'the program\n');
    await home.ok('key', 'generate', 'ci');
  });

  afterAll(() => home[Symbol.asyncDispose]());

  it('is how its tests ended, also when they failed', async () => {
    for (const outcome of ['skipped', 'failure', 'system-out'])
      writeFileSync(join(home.dir, `${outcome}.in`), JUNIT.replace('OUTCOME', outcome));
    writeFileSync(join(home.dir, 'tap.in'), '1..2\nok 1 - one\nnot ok 2 - two # todo later\n');
    await run(`
$ provost record test HOME/app --key ci -- echo tested
tested
PASSED
about app  sha256:<digest>
signed with ci (entry <n>)
$ provost record test HOME/app --key ci --junit HOME/j.xml -- cp HOME/skipped.in HOME/j.xml
WARNED: 1 passed, 1 skipped, 0 failed
about app  sha256:<digest>
signed with ci (entry <n>)
$ provost record test HOME/app --key ci --tap HOME/t.tap -- cp HOME/tap.in HOME/t.tap
WARNED: 1 passed, 1 skipped, 0 failed
about app  sha256:<digest>
signed with ci (entry <n>)
`);
  });

  it('is how they failed, whoever says it', async () => {
    await run(`
$ provost record test HOME/app --key ci --junit HOME/j.xml -- sh -c "cp HOME/failure.in HOME/j.xml; exit 9"
FAILED: 1 passed, 0 skipped, 1 failed
about app  sha256:<digest>
signed with ci (entry <n>)
? 9
$ provost record test HOME/app --key ci --junit HOME/j.xml -- cp HOME/failure.in HOME/j.xml
FAILED: 1 passed, 0 skipped, 1 failed
about app  sha256:<digest>
signed with ci (entry <n>)
? 3
$ provost record test HOME/app --key ci --junit HOME/j.xml -- sh -c "exit 4"
FAILED
about app  sha256:<digest>
signed with ci (entry <n>)
! the failure is recorded without names: the tests did not write the report HOME/j.xml
? 4
$ provost record test HOME/app --key ci --junit HOME/j.xml --json -- cp HOME/system-out.in HOME/j.xml
{"artifact":{<artifact>},"result":"PASSED","status":0,"tests":{"passed":2,"warned":0,"failed":0},"logIndex":<n>}
`);
    const results = about(digestOf(readFileSync(app)), 'test-result').map(
      ({ predicate }) => (predicate as { result: string }).result,
    );
    expect(results.toSorted()).toEqual(['FAILED', 'FAILED', 'FAILED', 'PASSED', 'PASSED', 'WARNED', 'WARNED']);
    const [failed] = about(digestOf(readFileSync(app)), 'test-result').filter(
      ({ predicate }) => (predicate as { failedTests: string[] }).failedTests.length > 0,
    );
    expect(failed?.predicate).toMatchObject({
      result: 'FAILED',
      passedTests: ['a'],
      warnedTests: [],
      failedTests: ['b'],
    });
  });

  it('is nothing when the tests passed and their report says nothing, or nothing that can be read', async () => {
    await run(`
$ provost record test HOME/app --key ci --junit HOME/j.xml -- true
! provost: the tests did not write the report HOME/j.xml
!   Name the file that the test runner writes; without --junit and --tap its exit status is recorded alone.
!   (ENGINE_REPORT, exit 2)
? 2
$ provost record test HOME/app --key ci --junit HOME/j.xml -- cp HOME/tap.in HOME/j.xml
! provost: the report of the tests cannot be read: it has text outside its root
!   Give JUnit XML with --junit, or TAP with --tap, as the test runner wrote it.
!   (PROVENANCE_TEST_REPORT, exit 4)
? 4
$ provost record test HOME/app --key ci --junit a --tap b -- true
! provost: --junit and --tap are two reports of the same tests
!   Give one of them.
!   (CLI_USAGE, exit 2)
? 2
$ provost record test HOME/app --key ci -- sh -c "echo more >> HOME/app"
! provost: the artifact is now sha256:<digest>, not what the statement was made from
!   Let nothing write to it, and record it again.
!   (ENGINE_ARTIFACT_CHANGED, exit 4)
? 4
`);
    writeFileSync(app, 'the program\n');
  });

  it('is what a package was made from, once it was found in there', async () => {
    const layer = tarOf([{ path: 'usr/bin/app', type: 'file', content: 'the program\n' }]);
    writeFileSync(join(home.dir, 'app.tar'), layer);
    mkdirSync(join(home.dir, 'dist/in'), { recursive: true });
    writeFileSync(join(home.dir, 'dist/in/copy'), 'the program\n');
    writeFileSync(join(home.dir, 'other'), 'not in it\n');
    writeOciLayout({ dir: join(home.dir, 'image'), layers: [layer] });
    await run(`
$ provost record package oci:HOME/image --from HOME/app --from HOME/dist --key ci
oci:HOME/image  sha256:<digest>  oci
found     <digest>  HOME/app
found     <digest>  HOME/dist
signed with ci (entry <n>)
$ provost record package HOME/app.tar --from HOME/app --key ci
app.tar  sha256:<digest>  tar
found     <digest>  HOME/app
signed with ci (entry <n>)
$ provost record package HOME/dist --from HOME/app --key ci
HOME/dist  sha256:<digest>  folder
found     <digest>  HOME/app
signed with ci (entry <n>)
$ provost record package oci:HOME/image --from HOME/app --from HOME/other --key ci
! provost: HOME/other (sha256:<digest>) was not found in oci:HOME/image
!   Package what was built, unchanged; where it cannot be seen (compressed inside, changed on its way), say --unseen.
!   (ENGINE_PACKAGE, exit 4)
? 4
$ provost record package oci:HOME/image --from HOME/image --unseen --key ci
! provost: oci:HOME/image is not packed from itself
!   Name what it was packed from; what a build made is recorded by that build, with --product.
!   (ENGINE_PACKAGE, exit 2)
? 2
$ provost record package HOME/other --from HOME/app --unseen --key ci
other  sha256:<digest>  file
not seen  <digest>  HOME/app
signed with ci (entry <n>)
`);
    const [unseen] = about(digestOf('not in it\n'), 'package');
    expect(unseen?.predicate).toMatchObject({ format: 'file', contents: [{ annotations: { seen: false } }] });
  });

  it('is where it runs, by the home’s own key, the newest of each workload beside it', async () => {
    await home.ok('run', '-d', '--name', 'one', '--rootfs', '/', '--', 'sleep', '100');
    const digest = (await home.inspect('one')).artifact.digest as Digest;
    await until('its deployment is kept', () => about(digest, 'deploy').length === 1);
    await run(`
$ provost record deploy one
one revision 1 runs /  sha256:<digest>
recorded at its start (entry <n>)
`);
    await home.ok('run', '-d', '--name', 'one', '--replace', '--rootfs', '/', '--', 'sleep', '101');
    // The next one is there before it takes the place of the other.
    await until('the next one alone is kept', () => {
      const [first, ...more] = about(digest, 'deploy');
      return more.length === 0 && (first?.predicate as { revision: number } | undefined)?.revision === 2;
    });
    expect(about(digest, 'deploy').map(({ predicate }) => predicate)).toEqual([
      expect.objectContaining({ workload: 'one', revision: 2 }),
    ]);
    const deployed: number[][] = [];
    for await (const { bytes } of openJournalReader(join(home.dir, 'log')).entries()) {
      const leaf = parseLeaf(bytes);
      if (leaf.kind === 'deploy') deployed.push([leaf.parents.length, leaf.keys.length]);
    }
    expect(deployed).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  it('is where it runs, which says nothing of where it comes from', async () => {
    await run(`
$ provost verify / --rootfs
/  sha256:<digest>
unsigned
  ✓ deploy       signed by a key of this home; log entry <n>
...
? 5
$ provost stop one
one
$ provost record deploy one
! provost: one does not run
!   Start it first; provost ps -a shows its state.
!   (ENGINE_STATE, exit 2)
? 2
`);
  });

  it('is where it runs also when the home’s key signs no more', async () => {
    await home.ok('key', 'revoke', 'host', '--reason', 'lost');
    await home.ok('run', '-d', '--name', 'two', '--rootfs', '/', '--', 'sleep', '100');
    const { code, stderr } = await home.provost(['record', 'deploy', 'two']);
    expect([code, stderr]).toEqual([6, expect.stringContaining('is in the log, but cannot be kept as an attestation')]);
    expect((await home.inspect('two')).state).toBe('running');
  });
});
