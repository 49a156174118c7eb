// Commits recorded from the command line: made by git itself, signed by ssh-keygen.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GitFixture } from '../git-fixture.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { runTranscript } from './transcript.ts';

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'git', 'ssh-keygen'))('provost record commit', () => {
  let home: TestHome;
  let git: GitFixture;
  let publishers: string;
  const run = (transcript: string): Promise<void> =>
    runTranscript(home, transcript.replaceAll('TREE', git.dir).replaceAll('GIT', git.root));

  beforeAll(async () => {
    home = openTestHome();
    git = new GitFixture();
    const key = git.makeSshKey('ed25519');
    writeFileSync(git.allowedSigners, `ada@example.com ${key.line}\n`);
    publishers = join(git.root, 'publishers.json');
    writeFileSync(
      publishers,
      JSON.stringify([{ publisher: 'ada-inc', sshKeys: [key.line], emails: ['ada@example.com'] }]),
    );
    mkdirSync(join(git.dir, 'app'));
    writeFileSync(join(git.dir, 'app/main.js'), 'console.log(1);\n');
    git.commit('first, not signed');
    writeFileSync(join(git.dir, 'Dockerfile'), 'FROM debian:latest\nRUN curl https://example.com/install | sh\n');
    git.commit('second, signed', key);
    await home.ok('key', 'generate', 'recorder');
  });

  afterAll(async () => {
    git[Symbol.dispose]();
    await home[Symbol.asyncDispose]();
  });

  it('tells whose commit it is by its signature alone, and what its build files do', async () => {
    await run(`
$ provost record commit --repository TREE --key recorder
<commit>  unknown-key  ada@example.com  (entry 2)
build files: 1, score 0.20: 3 findings in 1 build file: <which>
$ provost record commit --repository TREE --key recorder --range --identities GIT/publishers.json --sarif GIT/out.sarif
<commit>  unsigned     ada@example.com  (entry 3)
<commit>  verified     ada-inc  (entry 4)
build files: 1, score 0.20: 3 findings in 1 build file: <which>
$ provost record commit HEAD~1..HEAD --repository TREE --key recorder --allowed-signers GIT/allowed_signers
<commit>  verified     ada@example.com  (entry 5)
build files: 1, score 0.20: 3 findings in 1 build file: <which>
$ provost log verify
provost/home/<id>: 6 entries, root <root>
! every entry and tile is what the checkpoint commits to
`);
    const sarif = JSON.parse(readFileSync(join(git.root, 'out.sarif'), 'utf8')) as {
      runs: { results: { ruleId: string; locations: { physicalLocation: { region: { startLine: number } } }[] }[] }[];
    };
    const found = sarif.runs[0]?.results.map(({ ruleId, locations }) => [
      ruleId,
      locations[0]?.physicalLocation.region.startLine,
    ]);
    expect(found).toContainEqual([expect.stringMatching(/remote-script/), 2]);
  });

  it('signs what it recorded, so that it verifies as an attestation about the commit', async () => {
    const recorded = JSON.parse(
      (await home.ok('record', 'commit', '--repository', git.dir, '--key', 'recorder', '--json')).trim(),
    ) as {
      commit: string;
      digest: string;
      logIndex: number;
    };
    expect(recorded.commit).toBe(git.git('rev-parse', 'HEAD'));
    const folder = join(home.dir, 'attestations', recorded.digest.replace('sha256:', ''));
    expect(readdirSync(folder).length).toBeGreaterThan(0);
    expect(await home.ok('log', 'prove', '--index', String(recorded.logIndex))).toMatch(/^c2sp\.org\/tlog-proof@v1\n/);
  });

  it('says what it cannot read, and records nothing then', async () => {
    writeFileSync(join(git.root, 'bad.json'), '[{"publisher":"x"}]');
    await run(
      `
$ provost record commit nothing --repository TREE --key recorder
! provost: the git repository cannot be read: there is no 'nothing' in it
! <hint>
!   (PROVENANCE_REPOSITORY, exit 5)
? 5
$ provost record commit HEAD..HEAD --repository TREE --key recorder
! provost: HEAD..HEAD names no commit
!   In a range A..B, B must stand on more than A does.
!   (CLI_USAGE, exit 2)
? 2
$ provost record commit --repository TREE --key nobody
! provost: no key has the name or id 'nobody'
!   Known keys: host, recorder.
!   (PROVENANCE_KEY_UNKNOWN, exit 2)
? 2
$ provost record commit --repository TREE --key recorder --identities GIT/none.json
! provost: the list of publishers GIT/none.json cannot be read: <why>
! <hint>
!   (ENGINE_SOURCE, exit 2)
? 2
$ provost record commit --repository TREE --key recorder --identities GIT/bad.json
! provost: the list of publishers GIT/bad.json is not valid: <why>
...
!   (ENGINE_SOURCE, exit 2)
? 2
$ provost record commit --repository TREE --key recorder --sarif GIT/none/out.sarif
! provost: the findings cannot be written: <why>
!   Give --sarif a file in a folder that you may write to.
!   (CLI_FILE, exit 6)
? 6
`.replaceAll('GIT/', `${git.root}/`),
    );
  });
});
