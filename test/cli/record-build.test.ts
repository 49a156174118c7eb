// Builds recorded from the command line, on a real repository: on the host, in a sandbox, and done again.
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/artifact/index.ts';
import {
  openAttestationStore,
  parseEnvelope,
  parseSlsaProvenance,
  parseStatement,
} from '../../src/provenance/index.ts';
import { GitFixture } from '../git-fixture.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { runTranscript } from './transcript.ts';

const BASE = 'cd'.repeat(32);
/** Prints what an isolated build must not reach, and builds nevertheless. */
const PROBE = `mkdir -p out
for target in 1.1.1.1/53 127.0.0.1/PORT; do timeout 2 bash -c "exec 3<>/dev/tcp/$target" 2>/dev/null && echo reached $target; done
cat CANARY /etc/shadow 2>/dev/null
touch .git/hooks/pre-commit 2>/dev/null && echo wrote a hook
touch /etc/provost-canary; echo "$SECRET"
pwd > out/where
`;

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'git'))('the lifecycle of a repository', () => {
  let home: TestHome;
  let git: GitFixture;
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript.replaceAll('CLONE', git.dir));
  const app = (): string => join(git.dir, 'out/app');
  const statementsAbout = (path: string) =>
    openAttestationStore(join(home.dir, 'attestations'))
      .list(digestOf(readFileSync(path)))
      .map(({ bytes }) => parseStatement(parseEnvelope(bytes).payload));
  const ofType = (path: string, part: string) => {
    const found = statementsAbout(path).filter(({ predicateType }) => predicateType.includes(part));
    expect(found).not.toEqual([]);
    return found;
  };

  beforeAll(async () => {
    home = openTestHome();
    git = new GitFixture();
    git.git('remote', 'add', 'origin', 'https://me:token@git.test/shop.git');
    writeFileSync(join(git.dir, '.gitignore'), 'out/\n*.xml\n');
    writeFileSync(join(git.dir, 'Dockerfile'), `FROM debian@sha256:${BASE}\n`);
    writeFileSync(join(git.dir, 'package-lock.json'), '{"lockfileVersion":3,"packages":{}}');
    writeFileSync(join(git.dir, 'build.sh'), 'mkdir -p out\ncat src.txt > out/app\n');
    writeFileSync(join(git.dir, 'probe.sh'), PROBE.replace('CANARY', join(home.dir, 'canary')));
    writeFileSync(join(git.dir, 'random.sh'), 'mkdir -p out/r\ndate +%N > out/r/random\necho same > out/r/same\n');
    writeFileSync(join(git.dir, 'src.txt'), 'source\n');
    git.commit('all of it');
    writeFileSync(join(home.dir, 'canary'), 'the home\n');
    for (const name of ['ci', 'bob']) await home.ok('key', 'generate', name);
  });

  afterAll(async () => {
    git[Symbol.dispose]();
    await home[Symbol.asyncDispose]();
  });

  it('has its build recorded: commit, lockfiles, base images, products, and no secret', async () => {
    const { code, stdout } = await home.provost(
      ['record', 'build', '--key', 'ci', '--workdir', git.dir, '--json', '--', 'sh', 'build.sh'],
      { env: { TOKEN: 'hidden-value', SOURCE_DATE_EPOCH: '7' } },
    );
    expect(code).toBe(0);
    const commit = git.git('rev-parse', 'HEAD');
    expect(JSON.parse(stdout)).toMatchObject({ commit, isClean: true, products: [{ name: 'out/app' }] });
    const [statement] = ofType(app(), 'slsa');
    const provenance = parseSlsaProvenance(statement?.predicate);
    const source = digestOf(git.readCommit(commit)).replace('sha256:', '');
    expect(
      provenance.resolvedDependencies.map(({ name, uri, digests }) => [name ?? uri, Object.fromEntries(digests)]),
    ).toEqual([
      ['git+https://git.test/shop.git', { gitCommit: commit, sha256: source }],
      ['package-lock.json', { sha256: digestOf('{"lockfileVersion":3,"packages":{}}').replace('sha256:', '') }],
      [`debian@sha256:${BASE}`, { sha256: BASE }],
    ]);
    expect(provenance.externalParameters).toEqual({ command: ['sh', 'build.sh'], isolated: false });
    expect(provenance.internalParameters).toMatchObject({
      isClean: true,
      environment: { variables: { SOURCE_DATE_EPOCH: '7' }, otherNames: expect.arrayContaining(['TOKEN']) as unknown },
    });
    expect(JSON.stringify(statement)).not.toContain('hidden-value');
  });

  it('is not recorded when the work tree is not the commit’s, unless that is said', async () => {
    writeFileSync(join(git.dir, 'new.txt'), 'not committed\n');
    await run(`
$ provost record build --key ci --workdir CLONE -- sh build.sh
! provost: the work tree is not what the commit says: new.txt
!   Commit or ignore them; or build with --allow-dirty, which the statement then says.
!   (ENGINE_WORK_TREE, exit 3)
? 3
$ provost record build --key ci --workdir CLONE --allow-dirty --product out/app -- sh build.sh
<digest>  out/app
built from <commit> and 2 materials by https://provost.dev/builder/<home>
signed with ci (entry <n>)
! the work tree was not what the commit says; the statement says so
`);
    rmSync(join(git.dir, 'new.txt'));
  });

  it('is not recorded when the command fails or makes nothing', async () => {
    await run(`
$ provost record build --key ci --workdir CLONE -- sh -c "echo out; exit 7"
out
! the command failed with 7; nothing is recorded
? 7
$ provost record build --key ci --workdir CLONE --json -- sh -c "echo out; kill -9 $$"
{"status":137,"statements":[]}
! out
! the command failed with 137; nothing is recorded
? 137
$ provost record build --key ci --workdir CLONE --fetch "exit 5" -- true
! the command failed with 5; nothing is recorded
? 5
$ provost record build --key ci --workdir CLONE -- true
! provost: nothing is recorded: the command made nothing that git does not track
!   Name what is built with --product FILE, --product FOLDER or --product oci:DIR.
!   (ENGINE_NO_PRODUCTS, exit 2)
? 2
`);
  });

  it('is not begun without a command, a key, a work tree and git', async () => {
    await run(`
$ provost record build --key ci --workdir CLONE -- /nothing/there
! provost: '/nothing/there' cannot be started: <why>
!   Give the command and its arguments after --; for a line of the shell: -- sh -c "…".
!   (CLI_COMMAND, exit 2)
? 2
$ provost record build --key ci --workdir CLONE
! provost: the command is missing
!   Give it after --: provost record build --key ci -- make
!   (CLI_USAGE, exit 2)
? 2
$ provost record build --key nobody --workdir CLONE -- sh build.sh
! provost: no key has the name or id 'nobody'
!   Known keys: host, ci, bob.
!   (PROVENANCE_KEY_UNKNOWN, exit 2)
? 2
$ provost record build --key ci --workdir / -- true
! provost: / lies in no git work tree
!   Build in a clone: provenance begins with a commit.
!   (ENGINE_WORK_TREE, exit 2)
? 2
`);
    mkdirSync(join(git.root, 'bin'));
    writeFileSync(join(git.root, 'bin/git'), '#!/bin/sh\necho "fatal: no such day" >&2\nexit 128\n', { mode: 0o755 });
    const env = { PATH: `${join(git.root, 'bin')}:${process.env['PATH']}` };
    const args = ['record', 'build', '--key', 'ci', '--workdir', git.dir, '--', 'true'];
    const { code, stderr } = await home.provost(args, { env });
    expect([code, stderr]).toEqual([
      6,
      expect.stringMatching(/git cannot say what is in \S+: fatal: no such day\n.*\n.*CLI_GIT/),
    ]);
  });

  it('is built again by who trusts the builder, and signed when the same comes out', async () => {
    await home.ok('record', 'build', '--key', 'ci', '--workdir', git.dir, '--', 'sh', 'build.sh');
    await run(`
$ provost reproduce CLONE/out/app --repository CLONE --key bob
! provost: sha256:<digest> cannot be built again: no trusted key says how it was built: key 'ci' is not trusted here
!   Record its build (provost record build), or trust the key that did: provost key trust KEY --role builder.
!   (ENGINE_NO_PROVENANCE, exit 5)
? 5
$ provost key trust ci --role builder
ci is trusted as builder for *
$ provost reproduce CLONE/out/app --repository CLONE --key bob
same  out/app
reproduced from <commit>, signed with bob (entry <n>)
`);
    const [reproduction] = ofType(app(), 'reproduction');
    expect(reproduction?.predicate).toMatchObject({
      isEqual: true,
      builder: { id: expect.stringMatching(/^https:\/\/provost\.dev\/builder\/[0-9a-f]{6}$/) as unknown },
      provenance: { digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown } },
    });
  });

  it('is not said to be reproduced when something else comes out, or its work tree was dirty', async () => {
    await run(
      `
$ provost record build --key ci --workdir CLONE --product out/r -- sh random.sh
<digest>  out/r
built from <commit> and 2 materials by https://provost.dev/builder/<home>
signed with ci (entry <n>)
$ provost reproduce CLONE/out/r --repository CLONE --key bob
differs: <digest> was built, now <digest>  out/r
not reproduced from <commit>; nothing is attested
? 8
$ provost record build --key ci --workdir CLONE -- sh -c "cp out/app out/moved"
<digest>  out/moved
built from <commit> and 2 materials by https://provost.dev/builder/<home>
signed with ci (entry <n>)
! products are the files that the command made or changed and git does not track
$ provost reproduce CLONE/out/r/same --repository CLONE --key bob
! provost: sha256:<digest> cannot be built again: no attestation says how it was built
!   Record its build (provost record build), or trust the key that did: provost key trust KEY --role builder.
!   (ENGINE_NO_PROVENANCE, exit 5)
? 5
`,
    );
  });

  it('is not done again when its work tree was dirty, or it fails', async () => {
    await home.ok('key', 'trust', 'ci', '--role', 'builder');
    writeFileSync(join(git.dir, 'new.txt'), 'not committed\n');
    writeFileSync(join(git.dir, 'out/dirty'), 'made of something else\n');
    await home.ok(
      'record',
      'build',
      '--key',
      'ci',
      '--workdir',
      git.dir,
      '--allow-dirty',
      '--product',
      'out/dirty',
      '--',
      'true',
    );
    rmSync(join(git.dir, 'new.txt'));
    await run(`
$ provost reproduce CLONE/out/dirty --repository CLONE --key bob
! provost: the build cannot be done again: its work tree held more than the commit
!   Only a build of a clean work tree, with its products in it, can be compared.
!   (ENGINE_NOT_REPRODUCIBLE, exit 5)
? 5
`);
    const again = await home.provost([
      'reproduce',
      join(git.dir, 'out/moved'),
      '--repository',
      git.dir,
      '--key',
      'bob',
    ]);
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringContaining('the build failed with 1; nothing is attested'),
    ]);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('provost-build-'))).toEqual([]);
  });

  it('is built in a sandbox without a network and without what is private on the host', async () => {
    const server = createServer().listen(0, '0.0.0.0');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    let reached = 0;
    server.on('connection', () => (reached += 1));
    writeFileSync(
      join(git.dir, 'probe.sh'),
      readFileSync(join(git.dir, 'probe.sh'), 'utf8').replace('PORT', String(port)),
    );
    git.commit('the port');
    const { code, stdout, stderr } = await home.provost(
      [
        'record',
        'build',
        '--key',
        'ci',
        '--workdir',
        git.dir,
        '--isolated',
        '--fetch',
        'cat src.txt',
        '--',
        'bash',
        'probe.sh',
      ],
      { env: { SECRET: 'hidden-value' } },
    );
    server.close();
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^products are the files/)]);
    expect(stdout).toMatch(/^source\n\n[0-9a-f]{12} {2}out\/where\nbuilt from \S+ and 2 materials by \S+\/isolated\n/);
    expect(reached).toBe(0);
    expect([existsSync('/etc/provost-canary'), existsSync(join(git.dir, '.git/hooks/pre-commit'))]).toEqual([
      false,
      false,
    ]);
    expect(readFileSync(join(git.dir, 'out/where'), 'utf8')).toBe('/build\n');
    const [statement] = ofType(join(git.dir, 'out/where'), 'slsa');
    const { externalParameters, internalParameters, builder } = parseSlsaProvenance(statement?.predicate);
    expect(externalParameters).toEqual({ command: ['bash', 'probe.sh'], isolated: true, fetch: 'cat src.txt' });
    expect(internalParameters).toMatchObject({ environment: { otherNames: [] } });
    expect(builder.id).toMatch(/\/isolated$/);
    await run(
      `
$ provost reproduce CLONE/out/where --repository CLONE --key bob
source
<nothing>
same  out/where
reproduced from <commit>, signed with bob (entry <n>)
$ provost record build --key ci --workdir CLONE --isolated -- sh -c "echo a; exit 3"
a
! the command failed with 3; nothing is recorded
? 3
$ provost ps -a
NAME <columns>
`.replace('<nothing>\n', '\n'),
    );
  });
});
