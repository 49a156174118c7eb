// `provost verify` with what other tools make and read: Sigstore bundles, in-toto lines and SLSA summaries; no supervisor, no root.
import { hash } from 'node:crypto';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../../src/artifact/index.ts';
import { GIB } from '../../src/base/index.ts';
import { writeBusyboxImage } from '../busybox-image.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { needs, VECTORS_FOLDER } from '../needs.ts';
import { IDENTITY, type Loose, SigstoreInstance, type SigstoreSigning } from '../sigstore-fixture.ts';
import { runTranscript } from './transcript.ts';

const ARTIFACT = Buffer.from('the artifact\n');
const DIGEST = digestOf(ARTIFACT);
const STATEMENT = 'application/vnd.in-toto+json';
const instance = new SigstoreInstance();

interface Said {
  readonly predicateType?: string;
  readonly subjects?: readonly { readonly name?: string; readonly of?: string }[];
}

function statementOf({ predicateType = 'https://slsa.dev/provenance/v1', subjects = [{ name: 'app' }] }: Said): Buffer {
  const subject = subjects.map(({ name, of = DIGEST }) => ({ name, digest: { sha256: of.slice('sha256:'.length) } }));
  return Buffer.from(JSON.stringify({ _type: 'https://in-toto.io/Statement/v1', subject, predicateType }));
}

const attest = (said: Said = {}, signing: SigstoreSigning = {}): Loose =>
  instance.attest(statementOf(said), STATEMENT, signing);

describe('provost verify --bundle', () => {
  let home: TestHome;
  const put = (name: string, value: unknown): void =>
    writeFileSync(join(home.dir, name), typeof value === 'string' ? value : JSON.stringify(value));
  const FLAGS = `--trusted-root HOME/root.json --identity ${IDENTITY.issuer}=https://forge.test/shop/**`;
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript.replaceAll('FLAGS', FLAGS));

  beforeAll(() => {
    home = openTestHome();
    writeFileSync(join(home.dir, 'app'), ARTIFACT);
    put('root.json', instance.root());
    put('good.json', attest());
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  it('verifies a package of npm, whose bundle names it by the SHA-512 of its bytes', async () => {
    const sha512 = hash('sha512', ARTIFACT);
    const subject = [{ name: 'pkg:npm/shop@1.0.0', digest: { sha512 } }];
    const [_type, predicateType] = ['https://in-toto.io/Statement/v1', 'https://slsa.dev/provenance/v1'];
    put('npm.json', instance.attest(Buffer.from(JSON.stringify({ _type, subject, predicateType })), STATEMENT, {}));
    writeFileSync(join(home.dir, 'other'), 'another');
    await run(`
$ provost verify HOME/app --bundle HOME/npm.json FLAGS
app  ${DIGEST}
verified
  signed by ${IDENTITY.subject}, as ${IDENTITY.issuer} says
  log entry 77 of 2026-01-10T00:00:00.000Z
  https://slsa.dev/provenance/v1 about
    sha512:${sha512}  -
$ provost verify HOME/other --bundle HOME/npm.json FLAGS
! provost: <…>
! <…>
!   (PROVENANCE_SIGSTORE_ARTIFACT, exit 4)
? 4
`);
  });

  it('says who signed what, when, and where it is logged', async () => {
    put('stamped.json', attest({}, { isTimestamped: true, inclusion: 'proof' }));
    put('signature.json', instance.sign(ARTIFACT));
    await run(`
$ provost verify HOME/app --bundle HOME/good.json FLAGS
app  ${DIGEST}
verified
  signed by ${IDENTITY.subject}, as ${IDENTITY.issuer} says
  log entry 77 of 2026-01-10T00:00:00.000Z
  https://slsa.dev/provenance/v1 about
    ${DIGEST}  app
$ provost verify HOME/app --bundle HOME/stamped.json FLAGS
app  ${DIGEST}
verified
  signed by ${IDENTITY.subject}, as ${IDENTITY.issuer} says
  log entry 0
  timestamp 2026-01-10T00:00:00.000Z
  https://slsa.dev/provenance/v1 about
    ${DIGEST}  app
$ provost verify HOME/app --bundle HOME/signature.json --identity https://else.test=** FLAGS
app  ${DIGEST}
verified
  signed by ${IDENTITY.subject}, as ${IDENTITY.issuer} says
  log entry 77 of 2026-01-10T00:00:00.000Z
`);
  });

  it('needs of an attested artifact only its digest, of a signed one its bytes', async () => {
    await run(`
$ provost verify ${DIGEST} --bundle HOME/good.json FLAGS
${DIGEST}  ${DIGEST}
verified
...
$ provost verify ${DIGEST} --bundle HOME/signature.json FLAGS
! provost: the Sigstore bundle does not verify: it signs the bytes of an artifact, of which only the digest is known
...
? 4
$ provost verify --rootfs HOME --bundle HOME/signature.json FLAGS
! provost: the Sigstore bundle does not verify: it signs the bytes of an artifact, of which only the digest is known
...
? 4
`);
    writeFileSync(join(home.dir, 'huge'), '');
    truncateSync(join(home.dir, 'huge'), GIB + 1);
    await run(`
$ provost verify HOME/huge --bundle HOME/signature.json FLAGS
! provost: the artifact has more than ${GIB} bytes
!   A signature over so many bytes is not verified; have its digest attested instead.
!   (ENGINE_ATTESTATIONS, exit 4)
? 4
`);
    rmSync(join(home.dir, 'huge'));
  });

  it('prints one JSON object with --json, also of a refusal', async () => {
    const flags = ['--trusted-root', join(home.dir, 'root.json'), '--json'];
    const verify = (pattern: string) =>
      home.provost([
        ...['verify', join(home.dir, 'app'), '--bundle', join(home.dir, 'good.json')],
        ...[...flags, '--identity', `${IDENTITY.issuer}=${pattern}`],
      ]);
    const { stdout, code } = await verify('https://forge.test/**');
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        artifact: { digest: DIGEST, name: 'app' },
        verdict: 'verified',
        signer: IDENTITY,
        logIndex: 77,
        logged: '2026-01-10T00:00:00.000Z',
        stamped: null,
        statement: {
          predicateType: 'https://slsa.dev/provenance/v1',
          subjects: [{ name: 'app', digest: DIGEST }],
        },
      },
    ]);
    const refused = await verify('https://forge.test/*');
    expect(refused.code).toBe(4);
    expect(JSON.parse(refused.stdout)).toMatchObject({ error: { code: 'PROVENANCE_SIGSTORE_IDENTITY', exit: 4 } });
  });

  it('says why nobody that was asked for has signed', async () => {
    await run(`
$ provost verify HOME/app --bundle HOME/good.json --trusted-root HOME/root.json --identity ${IDENTITY.issuer}=https://forge.test/shop/api/**
! provost: the Sigstore bundle does not verify: it was signed by '${IDENTITY.subject}' by '${IDENTITY.issuer}', which is not expected
!   Check artifact, identity and trusted root, then get the bundle again from where it was made.
!   (PROVENANCE_SIGSTORE_IDENTITY, exit 4)
? 4
`);
  });

  const without = (place: string): Loose => ({ ...instance.root(), [place]: [] });
  const bySomebody = (): Loose => {
    const [one, other] = [attest(), attest()];
    one.verificationMaterial.certificate = other.verificationMaterial.certificate;
    return one;
  };
  it.each<[string, unknown, unknown]>([
    ['PROVENANCE_JSON', 'not json', instance.root()],
    ['PROVENANCE_JSON', '{"mediaType":"a","mediaType":"b"}', instance.root()],
    ['PROVENANCE_JSON', `{"a":"${'a'.repeat(16 * 1024 * 1024)}"}`, instance.root()],
    ['PROVENANCE_JSON', attest(), ''],
    ['PROVENANCE_SIGSTORE_BUNDLE', { ...attest(), mediaType: 'application/json' }, instance.root()],
    ['PROVENANCE_SIGSTORE_ROOT', attest(), {}],
    ['PROVENANCE_SIGSTORE_TIME', attest({}, { inclusion: 'proof' }), instance.root()],
    ['PROVENANCE_SIGSTORE_CERTIFICATE', attest({}, { isUnlogged: true }), instance.root()],
    ['PROVENANCE_SIGSTORE_CERTIFICATE', attest(), new SigstoreInstance().root()],
    ['PROVENANCE_SIGSTORE_LOG', attest(), without('tlogs')],
    ['PROVENANCE_SIGSTORE_SIGNATURE', bySomebody(), instance.root()],
    ['PROVENANCE_SIGSTORE_ARTIFACT', attest({ subjects: [{ of: digestOf('other') }] }), instance.root()],
    ['PROVENANCE_SIGSTORE_ARTIFACT', instance.sign(Buffer.from('other')), instance.root()],
    ['PROVENANCE_STATEMENT', instance.attest(Buffer.from('{}'), STATEMENT), instance.root()],
  ])('refuses with %s (case %#)', async (code, bundle, root) => {
    put('bad.json', bundle);
    put('bad-root.json', root);
    await run(`
$ provost verify HOME/app --bundle HOME/bad.json FLAGS --trusted-root HOME/bad-root.json
! provost: <…>
!   <…>
!   (${code}, exit 4)
? 4
`);
  });

  it('shows texts of strangers on one line, without what steers a terminal, and not without end', async () => {
    const subjects = [
      { name: 'app\u001B[2J\nforged' },
      ...Array.from({ length: 11 }, (_, at) => ({ name: `${at}`.padEnd(300, 'x'), of: digestOf(`${at}`) })),
    ];
    put('hostile.json', attest({ predicateType: 'x:\u202Ey', subjects }));
    await run(`
$ provost verify HOME/app --bundle HOME/hostile.json FLAGS
app  ${DIGEST}
verified
  signed by <…>
  log entry 77 of <…>
  x:?y about
    ${DIGEST}  app?[2J?forged
${Array.from({ length: 9 }, (_, at) => `    ${digestOf(`${at}`)}  ${`${at}`.padEnd(200, 'x')}…`).join('\n')}
    and 2 more
`);
  });

  it('asks for what a bundle proves nothing without', async () => {
    await run(`
$ provost verify HOME/app --bundle HOME/good.json --identity ${IDENTITY.issuer}=**
! provost: a Sigstore bundle proves nothing without the root that its instance is trusted by
!   Give --trusted-root FILE: the trusted_root.json of the instance that signed, from a place that you trust.
!   (CLI_USAGE, exit 2)
? 2
$ provost verify HOME/app --bundle HOME/good.json --trusted-root HOME/root.json
! provost: anyone can make a Sigstore bundle: say who must have
!   Give --identity ISSUER=PATTERN, like <…>
!   (CLI_USAGE, exit 2)
? 2
$ provost verify HOME/app --identity ${IDENTITY.issuer}=**
! provost: --trusted-root and --identity are about a bundle
!   Give the bundle: --bundle FILE.
!   (CLI_USAGE, exit 2)
? 2
$ provost verify HOME/app --trusted-root HOME/root.json
! provost: --trusted-root and --identity are about a bundle
...
? 2
$ provost verify HOME/app --bundle HOME/good.json FLAGS --export HOME/lines
! provost: a Sigstore bundle is verified by itself, beside what this home knows
!   Leave out --attestations, --export, --graph and --vsa, or --bundle.
!   (CLI_USAGE, exit 2)
? 2
$ provost verify HOME/app --bundle HOME/none.json FLAGS
! provost: cannot read the bundle HOME/none.json: <…>
...
? 2
$ provost verify HOME/app --bundle HOME/good.json --trusted-root HOME/none.json --identity ${IDENTITY.issuer}=**
! provost: cannot read the trusted root HOME/none.json: <…>
...
? 2
$ provost verify HOME/none --bundle HOME/good.json FLAGS
! provost: there is no 'HOME/none'
...
? <n>
`);
  });

  it.each(['alice', 'alice@example.com=https://issuer.test', 'https://issuer.test', 'https://issuer.test='])(
    'refuses the identity %s',
    async (identity) => {
      await run(`
$ provost verify HOME/app --bundle HOME/good.json --trusted-root HOME/root.json --identity ${identity}
! error: option '--identity <issuer=pattern>' argument '${identity}' is invalid. write ISSUER=PATTERN, like <…>
...
? 2
`);
    },
  );

  it('refuses a pattern that would match nobody for its length', async () => {
    const { code, stderr } = await home.provost(['verify', 'x', '--identity', `https://a.test=${'a'.repeat(513)}`]);
    expect([code, stderr.includes('write ISSUER=PATTERN')]).toEqual([2, true]);
  });
});

describe.skipIf(needs('root', 'busybox'))('provost verify --bundle of an image', () => {
  it('is about the digest of its manifest', async () => {
    await using home = openTestHome();
    const image = `oci:${join(home.dir, 'image')}`;
    writeBusyboxImage({ dir: join(home.dir, 'image') });
    const { stdout } = await home.provost(['verify', image, '--json']);
    const { artifact } = JSON.parse(stdout) as { artifact: { digest: string } };
    const said = { predicateType: 'https://sigstore.dev/cosign/sign/v1', subjects: [{ of: artifact.digest }] };
    writeFileSync(join(home.dir, 'root.json'), JSON.stringify(instance.root()));
    writeFileSync(join(home.dir, 'bundle.json'), JSON.stringify(attest(said)));
    await runTranscript(
      home,
      `
$ provost verify oci:HOME/image --bundle HOME/bundle.json --trusted-root HOME/root.json --identity ${IDENTITY.issuer}=**
oci:HOME/image  ${artifact.digest}
verified
  signed by <…>
  log entry 77 of <…>
  https://sigstore.dev/cosign/sign/v1 about
    ${artifact.digest}  -
`,
    );
  });
});

describe.skipIf(needs('vectors'))('provost verify --bundle of the public-good instance', () => {
  it('holds bundles that others made to who made them', async () => {
    await using home = openTestHome();
    const beacon = 'https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/';
    const transcript = `
$ provost verify ASSETS/a.txt --bundle ASSETS/happy-path-v0.3/bundle.sigstore.json FLAGS**
a.txt  sha256:a0cfc712<…>
verified
  signed by BEACON<…>, as ISSUER says
  log entry 79571823 of 2024-03-19T17:26:26.000Z
$ provost verify ASSETS/a.txt --bundle ASSETS/happy-path-intoto-in-dsse-v3/bundle.sigstore.json FLAGS**
a.txt  sha256:a0cfc712<…>
verified
  signed by BEACON<…>, as ISSUER says
  log entry 155690850 of <…>
  https://slsa.dev/provenance/v1 about
    sha256:a0cfc712<…>  a.txt
$ provost verify ASSETS/a.txt --bundle ASSETS/happy-path-v0.3/bundle.sigstore.json FLAGSx/**
! provost: <…>
...
!   (PROVENANCE_SIGSTORE_IDENTITY, exit 4)
? 4
`;
    await runTranscript(
      home,
      transcript
        .replaceAll(
          'FLAGS',
          `--trusted-root ${VECTORS_FOLDER}/sigstore/targets/trusted_root.json --identity ISSUER=BEACON`,
        )
        .replaceAll('ASSETS', `${VECTORS_FOLDER}/sigstore/test/assets/bundle-verify`)
        .replaceAll('ISSUER', 'https://token.actions.githubusercontent.com')
        .replaceAll('BEACON', beacon),
    );
  });
});
