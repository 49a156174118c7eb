// The commands as people type them, with what they print: one home, one signed image, one workload's whole life.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scoreDocument, workloadDocument, workloadEvent } from '../../src/api/index.ts';
import { writeBusyboxImage } from '../busybox-image.ts';
import { openTestHome, type TestHome, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';
import { runTranscript } from './transcript.ts';

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'busybox'))('the commands', () => {
  let home: TestHome;
  let image: string;
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript.replaceAll('IMAGE', image));

  beforeAll(() => {
    home = openTestHome();
    const dir = join(home.dir, 'image');
    writeBusyboxImage({ dir });
    image = `oci:${dir}`;
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  it('score, verify and check without a supervisor, and without a home', async () => {
    const text = readFileSync(join(PROJECT_FOLDER, 'policies/default.yaml'), 'utf8');
    writeFileSync(join(home.dir, 'bad.yaml'), text.replace('raiseMargin', 'raiseMargni'));
    await run(`
$ provost verify IMAGE
oci:HOME/image  sha256:<digest>
unsigned
  – source       no commit is known that it comes from
  – build        nobody says how it was built
  – deps         nobody says what it depends on
  – test         nobody says that it was tested
  – package      nobody says what it was packed from
  – deploy       it was never started here
? 5
$ provost policy check HOME/bad.yaml
! provost: HOME/bad.yaml:<line>: tiers.raiseMargin is missing
! HOME/bad.yaml:<line>: unknown key 'raiseMargni' in tiers; did you mean 'raiseMargin'?
!   Correct the file and run provost policy check on it; policies/default.yaml explains every key.
!   (POLICY_KEY, exit 2)
? 2
$ provost policy check ${PROJECT_FOLDER}/policies/default.yaml
${PROJECT_FOLDER}/policies/default.yaml is a policy: sha256:<digest>
$ provost shutdown
! no supervisor runs
$ provost replay
0 decisions replayed, 0 differ
`);
    expect(existsSync(join(home.dir, 'provost.pid'))).toBe(false);
    const score = scoreDocument.parse(JSON.parse(await home.ok('score', image, '--json')));
    const parts = Object.values(score.components).map(({ contribution }) => contribution);
    expect(score).toMatchObject({ tier: 'low', caps: [{ id: 'unsigned', max: 0.49 }] });
    expect(score.score).toBeLessThanOrEqual(parts.reduce((sum, part) => sum + part, 0) + 1e-12);
  });

  it('sign with a key that this host accepts', async () => {
    writeFileSync(join(home.dir, 'predicate.txt'), 'not json');
    await run(`
$ provost key generate alice
alice <id>
$ provost attest IMAGE --key bob
! provost: <…>
...
? 2
$ provost attest IMAGE --key alice --predicate HOME/predicate.txt
! provost: the predicate HOME/predicate.txt is not JSON: <…>
!   Give a JSON file.
!   (CLI_FILE, exit 2)
? 2
$ provost attest IMAGE --key alice
signed sha256:<digest> with alice (entry <n>)
$ provost verify IMAGE
oci:HOME/image  sha256:<digest>
untrusted
  – release      key 'alice' is not trusted here; log entry <n>
...
? 5
$ provost key trust alice --role publisher --scope *
alice is trusted as publisher for *
$ provost key trust HOME/nothing.pub
! provost: a key from a file needs a name
!   Add --name NAME.
!   (CLI_USAGE, exit 2)
? 2
$ provost verify IMAGE
oci:HOME/image  sha256:<digest>
verified
  ✓ release      signed by 'alice', a trusted publisher; log entry <n>
...
$ provost key list
NAME   ID                TRUST        SCOPE  PRIVATE  CREATED
host   <id>  not trusted  -      yes      <time>
alice  <id>  publisher    *      yes      <time>
`);
  });

  it('run, show, follow, stop and remove', async () => {
    await run(`
$ provost run -d --name web --memory 64Mi --cpu 1 IMAGE -- sh -c "echo up; echo down >&2; exec sleep 1000"
web
! web: score 0.62, medium: 500 millicores, 32Mi, network rateLimited, runc
$ provost ps
NAME  ARTIFACT      STATE    SCORE  TIER    CPU   MEMORY  NETWORK      SANDBOX  PORTS  STARTED
web   <digest>  running  <s>   medium  500m  32Mi    rateLimited  runc     -      <t> ago
$ provost run -d --name web IMAGE
! provost: there is a workload named web
!   Choose another --name, deploy a new revision with --replace, or remove it: provost rm web
!   (ENGINE_NAME_IN_USE, exit 2)
? 2
$ provost logs web
up
! down
$ provost override web --tier high --for 10m --reason "load test"
web: high
$ provost override web --clear
web: medium
$ provost rollback web
! provost: web has no earlier good revision
...
? 2
$ provost shutdown
! provost: workloads are running: web
!   Stop them first, or say --stop-workloads.
!   (SERVER_BUSY, exit 8)
? 8
$ provost rm web
! provost: web is running
!   Stop it first: provost stop web; or say --force.
!   (ENGINE_STATE, exit 2)
? 2
$ provost stop web
web
$ provost ps
NAME  ARTIFACT  STATE  SCORE  TIER  CPU  MEMORY  NETWORK  SANDBOX  PORTS  STARTED
$ provost ps -a
...
web<…>exited (137)<…>
$ provost rm web
web
$ provost inspect web
! provost: there is no workload named web
!   provost ps -a lists them.
!   (ENGINE_NO_WORKLOAD, exit 2)
? 2
`);
  });

  it('pass on what the workload says and how it ends', async () => {
    await run(`
$ provost run --rm --quiet IMAGE -- sh -c "echo out; echo err >&2; exit 42"
out
! err
? 42
$ provost run --rm --quiet --time 300ms IMAGE -- sleep 1000
? 124
$ provost run --rm --quiet --memory 16Mi IMAGE -- sh -c "x=x; while true; do x=$x$x; done"
...
? 137
$ provost run --rm --quiet -e GREETING=hello --workdir /www --user 1000 IMAGE -- sh -c "echo $GREETING; id -u; cat index.html"
hello
1000
it works
$ provost run --rm --quiet IMAGE -- /bin/missing
! provost: <…>
...
? 1
`);
    const piped = await home.provost(['run', '--rm', '--quiet', '-i', image, '--', 'cat'], { input: 'through\n' });
    expect(piped).toMatchObject({ code: 0, stdout: 'through\n' });
  });

  it('give secrets, volumes and a read-only root’s writable layer', async () => {
    const [secret, shared] = [join(home.dir, 'token'), `${home.dir}-shared`];
    writeFileSync(secret, 's3cret');
    mkdirSync(shared, { recursive: true });
    writeFileSync(join(shared, 'in'), 'from the host\n');
    const script =
      'cat /run/secrets/token; echo; cat /shared/in; touch /shared/new || echo refused; touch /tmp/mine && echo written';
    const flags = ['--secret', `token=${secret}`, '-v', `${shared}:/shared:ro`];
    const { stdout } = await home.provost(['run', '--rm', '--quiet', ...flags, image, '--', 'sh', '-c', script]);
    rmSync(shared, { recursive: true });
    expect(stdout).toBe('s3cret\nfrom the host\nrefused\nwritten\n');
  });

  it('print nothing but JSON with --json', async () => {
    const { stdout, code } = await home.provost([
      'run',
      '--rm',
      '--json',
      image,
      '--',
      'sh',
      '-c',
      'echo hidden; exit 3',
    ]);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => workloadEvent.parse(JSON.parse(line)));
    expect(code).toBe(3);
    expect(events.map(({ event }) => event).filter((event) => event !== 'window' && event !== 'progress')).toEqual([
      'admitted',
      'started',
      'exited',
    ]);
    expect(events.at(-1)).toMatchObject({ event: 'exited', code: 3, final: true });
    const refused = await home.provost(['run', '--json', '--name', 'never', '--memory', '900Gi', image]);
    const lines = refused.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(refused.code).toBe(3);
    expect(lines.at(-1)).toMatchObject({ event: 'refused', code: 'ENGINE_CAPACITY', workload: 'never' });
    await home.ok('run', '-d', '--name', 'shown', image);
    expect(workloadDocument.parse(JSON.parse(await home.ok('inspect', 'shown', '--json'))).state).toBe('running');
    expect(JSON.parse(await home.ok('top', '--once', '--json'))).toMatchObject({ name: 'shown' });
    expect(await home.ok('top', '--once')).toContain('shown');
    await home.ok('rm', '-f', 'shown');
  });

  it('plan a run to the last write, start nothing, and say whether it differs', async () => {
    const plan = JSON.parse(
      await home.ok('run', '--dry-run', '--json', '--name', 'planned', '--cpu', '2', image),
    ) as Plan;
    expect(plan).toMatchObject({ tier: 'medium', driver: 'runc', grant: { cpu: { millicores: 1000 } }, differs: true });
    expect(plan.sandbox.config.process.noNewPrivileges).toBe(true);
    expect(plan.sandbox.writes.find(({ file }) => file.endsWith('cpu.cfs_quota_us'))?.value).toBe('100000');
    await home.ok('run', '-d', '--name', 'planned', '--cpu', '2', image);
    const same = ['run', '--dry-run', '--exit-code', '--quiet', '--name', 'planned', '--cpu'];
    expect((await home.provost([...same, '2', image])).code).toBe(0);
    expect((await home.provost([...same, '1', image])).code).toBe(8);
    await home.ok('rm', '-f', 'planned');
  });

  it('stop an attached run on Ctrl-C', async () => {
    const child = spawn(join(PROJECT_FOLDER, 'bin/provost'), ['run', '--name', 'held', '--quiet', image], {
      env: { ...process.env, PROVOST_HOME: home.dir },
      stdio: 'ignore',
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    await until('it runs', async () => (await home.provost(['inspect', 'held'])).code === 0);
    child.kill('SIGINT');
    expect(await ended).toBe(137);
    expect((await home.inspect('held')).exit?.reason).toBe('stopped');
    await home.ok('rm', 'held');
  });

  it('refuse what they do not understand, with what they do', async () => {
    await run(`
$ provost run
! provost: run needs an image, or --rootfs DIR
!   Try provost run --rootfs / -- echo hello
!   (CLI_USAGE, exit 2)
? 2
$ provost run --memroy 1Gi IMAGE
! error: unknown option '--memroy'
...
? 2
$ provost run --memory lots IMAGE
! error: option '--memory <size>' argument 'lots' is invalid. <…>
...
? 2
$ provost run --restart sometimes IMAGE
! provost: 'sometimes' is none of no, on-failure, always
!   See provost run --help.
!   (CLI_USAGE, exit 2)
? 2
$ provost run oci:HOME/nothing
! provost: <…>
...
? <2 or 6>
$ provost nonsense
! error: unknown command 'nonsense'
...
? 2
$ provost completion tcsh
! provost: there is no completion for 'tcsh'
!   Choose bash, zsh or fish.
!   (CLI_USAGE, exit 2)
? 2
$ provost incident show inc-99
! provost: there is no incident inc-99
...
? 2
$ provost serve --listen 127.0.0.1:1
! provost: to listen on TCP, give HOST:PORT and a --token-file with at least 16 characters
...
? 2
`);
  });

  it('begin their help with examples', async () => {
    const main = await home.ok('--help');
    const names = [...main.matchAll(/^ {2}([a-z]+) .*$/gm)]
      .map(([, name]) => name ?? '')
      .filter((name) => !['provost', 'help'].includes(name));
    expect(names).toContain('doctor');
    expect(main.trimStart().startsWith('Examples:')).toBe(true);
    const helps = await Promise.all(names.map((name) => home.ok(name, '--help')));
    expect(names.filter((_, index) => helps[index]?.trimStart().startsWith('Examples:') !== true)).toEqual([]);
  });
});

interface Plan {
  readonly sandbox: {
    readonly config: { readonly process: { readonly noNewPrivileges: boolean } };
    readonly writes: readonly { readonly file: string; readonly value: string }[];
  };
}
