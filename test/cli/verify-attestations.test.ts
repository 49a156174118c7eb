// `provost verify` with attestations that move between homes, and with summaries of what was found; no supervisor, no root.
import { chmodSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '../../src/artifact/index.ts';
import { openHome } from '../../src/engine/index.ts';
import {
  attest,
  encodeAttestationLines,
  makeSlsaProvenance,
  openAttestationStore,
  parseEnvelope,
  parseStatement,
  parseVerificationSummary,
  RELEASE_TYPE,
  signEnvelope,
  SLSA_PROVENANCE_TYPE,
  VERIFICATION_SUMMARY_TYPE,
  verifyEnvelope,
} from '../../src/provenance/index.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../keyring-fixture.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { runTranscript } from './transcript.ts';

const ARTIFACT = { name: 'app', digest: digestOf('the artifact\n') };
const STATEMENT = 'application/vnd.in-toto+json';
const NOW_MS = Date.UTC(2026, 0, 10);
const PROVENANCE = makeSlsaProvenance({
  buildType: 'https://forge.test/build/v1',
  externalParameters: {},
  internalParameters: {},
  resolvedDependencies: [],
  builder: { id: 'https://forge.test/builder', version: new Map(), dependencies: [] },
  metadata: { invocationId: null, startedMs: null, finishedMs: null },
  byproducts: [],
});

/** A home with what a test puts into it. */
interface Prepared {
  readonly home: TestHome;
  readonly id: string;
  readonly keyring: LoggedKeyring;
  /** What a key of this home says of an artifact. */
  says(key: string, what?: Partial<{ type: string; predicate: unknown; digest: Digest }>): Buffer;
  keep(bytes: Uint8Array): Digest;
}

function prepare(): Prepared {
  const home = openTestHome();
  const { id, keysDir, attestationsDir } = openHome(home.dir);
  const keyring = openLoggedKeyring(keysDir, 'home:test');
  writeFileSync(join(home.dir, 'app'), 'the artifact\n');
  for (const name of ['alice', 'ci', 'mallory']) keyring.generateKey({ name, nowMs: NOW_MS });
  trust(keyring, 'alice', 'publisher');
  trust(keyring, 'ci', 'builder');
  return {
    home,
    id,
    keyring,
    says: (key, { type = RELEASE_TYPE, predicate = {}, digest = ARTIFACT.digest } = {}) =>
      attest({
        subjects: [{ ...ARTIFACT, digest }],
        predicateType: type,
        predicate,
        signer: keyring.openSigner(key),
        issuer: 'home:test',
      }).bytes,
    keep: (bytes) => openAttestationStore(attestationsDir).put(bytes, 0),
  };
}

function trust(
  keyring: LoggedKeyring,
  key: string,
  role: 'publisher' | 'builder',
  publicPem: string | null = null,
): void {
  const rest = { scope: '*', predicateTypes: [], expiresMs: null, nowMs: NOW_MS };
  keyring.trustKey({ key, publicPem, role, ...rest });
}

describe('attestations as in-toto lines', () => {
  let ours: Prepared;
  let theirs: Prepared;
  const run = (transcript: string, { home } = theirs): Promise<void> =>
    runTranscript(home, transcript.replaceAll('OURS', ours.home.dir));
  const write = (...lines: readonly (string | Buffer)[]): void =>
    writeFileSync(
      join(theirs.home.dir, 'lines'),
      Buffer.concat(lines.map((line) => Buffer.concat([Buffer.from(line), Buffer.from('\n')]))),
    );

  beforeAll(() => {
    ours = prepare();
    theirs = prepare();
    const { id } = ours.keyring.findKey('alice');
    const publicPem = readFileSync(join(ours.home.dir, `keys/${id}.pub`), 'utf8');
    trust(theirs.keyring, 'partner', 'publisher', publicPem);
  });

  afterAll(async () => {
    await ours.home[Symbol.asyncDispose]();
    await theirs.home[Symbol.asyncDispose]();
  });

  it('go out of a home, count in another one that trusts the key, and stay there no longer', async () => {
    await run(
      `
$ provost verify HOME/app --export HOME/app.intoto.jsonl
app  ${ARTIFACT.digest}
unsigned
! 0 attestations are in HOME/app.intoto.jsonl
? 5
`,
      ours,
    );
    const kept = ours.says('alice');
    ours.keep(kept);
    await run(
      `
$ provost verify HOME/app --export HOME/app.intoto.jsonl
app  ${ARTIFACT.digest}
verified
  alice ${RELEASE_TYPE}: signed by 'alice', a trusted publisher
! 1 attestation is in HOME/app.intoto.jsonl
$ provost verify HOME/app --attestations HOME/app.intoto.jsonl
app  ${ARTIFACT.digest}
verified
  alice ${RELEASE_TYPE}: signed by 'alice', a trusted publisher
`,
      ours,
    );
    expect(readFileSync(join(ours.home.dir, 'app.intoto.jsonl'), 'utf8')).toBe(`${kept.toString()}\n`);
    await run(`
$ provost verify HOME/app --attestations OURS/app.intoto.jsonl
app  ${ARTIFACT.digest}
verified
  line 1: partner ${RELEASE_TYPE}: signed by 'partner', a trusted publisher
$ provost verify HOME/app
app  ${ARTIFACT.digest}
unsigned
? 5
`);
    expect(existsSync(join(theirs.home.dir, 'attestations'))).toBe(false);
  });

  it('leave out what speaks of other artifacts, and what was said before', async () => {
    const [good, other] = [ours.says('alice'), ours.says('alice', { digest: digestOf('another') })];
    write(other, good, good);
    const { stdout } = await theirs.home.provost([
      'verify',
      join(theirs.home.dir, 'app'),
      '--attestations',
      join(theirs.home.dir, 'lines'),
      '--json',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'verified', signatures: [{ keyName: 'partner', line: 2 }] });
    write(other);
    await run(`
$ provost verify HOME/app --attestations HOME/lines
app  ${ARTIFACT.digest}
unsigned
? 5
`);
  });

  it('are refused with the number of every line that is none', async () => {
    const good = ours.says('alice');
    write(good, 'not json', good, '{}', '');
    await run(`
$ provost verify HOME/app --attestations HOME/lines
! provost: HOME/lines:2: <…>
! HOME/lines:4: <…>
! HOME/lines:5: <…>
!   Each line must be one DSSE envelope in JSON.
!   (ENGINE_ATTESTATIONS, exit 4)
? 4
`);
    write(...Array.from({ length: 1025 }, () => good));
    await run(`
$ provost verify HOME/app --attestations HOME/lines
! provost: the attestations cannot be read: it has more than 1024 lines
...
!   (PROVENANCE_LINES, exit 4)
? 4
`);
    truncateSync(join(theirs.home.dir, 'lines'), 64 * 1024 * 1024 + 1);
    await run(`
$ provost verify HOME/app --attestations HOME/lines
! provost: the attestations cannot be read: it has <n> bytes; the limit is <n>
...
!   (PROVENANCE_LINES, exit 4)
? 4
$ provost verify HOME/app --attestations HOME/none
! provost: cannot read the attestations HOME/none: <…>
...
? 2
`);
  });

  it('fail the artifact when one of them is forged, or holds no statement', async () => {
    const signer = ours.keyring.openSigner('alice');
    const good = parseEnvelope(ours.says('alice'));
    const signatures = [{ keyId: signer.keyId, signature: Buffer.alloc(64) }];
    const text = signEnvelope('text/plain', Buffer.from('hello'), [signer]);
    const broken = signEnvelope(STATEMENT, Buffer.from('{}'), [signer]);
    const hostile = { ...good, signatures: [{ keyId: '\u001B[2J\nx', signature: Buffer.alloc(64) }] };
    writeFileSync(
      join(theirs.home.dir, 'lines'),
      encodeAttestationLines([good, { ...good, signatures }, text, broken, hostile]),
    );
    await run(`
$ provost verify HOME/app --attestations HOME/lines
app  ${ARTIFACT.digest}
failed
  line 1: partner ${RELEASE_TYPE}: signed by 'partner', a trusted publisher
  line 2: partner ${RELEASE_TYPE}: the signature is not that of key 'partner', which it names
  line 3: <…>
  line 4: unknown unknown: the in-toto statement is not valid: <…>
  line 5: ?[2J?x ${RELEASE_TYPE}: signed by key <…>, which this host does not know
? 4
`);
  });

  it('do not leave a home in which one was changed, nor for where nobody may write', async () => {
    await run(
      `
$ provost verify HOME/app --export HOME/none/lines
app  ${ARTIFACT.digest}
verified
...
! provost: the attestations cannot be written: <…>
!   Name a file in a folder that you may write to.
!   (CLI_FILE, exit 6)
? 6
`,
      ours,
    );
    const digest = ours.keep(ours.says('alice', { predicate: { version: 2 } }));
    const [folder = ''] = readdirSync(join(ours.home.dir, 'attestations'));
    const file = join(ours.home.dir, 'attestations', folder, `${digest.slice('sha256:'.length)}-0.json`);
    writeFileSync(file, ours.says('alice', { predicate: { version: 3 } }));
    await run(
      `
$ provost verify HOME/app --export HOME/changed.intoto.jsonl
! provost: the attestation ${digest} was changed since it was stored; none is exported
!   Remove it from the attestations folder of the home and attest again.
!   (ENGINE_ATTESTATIONS, exit 4)
? 4
`,
      ours,
    );
    expect(existsSync(join(ours.home.dir, 'changed.intoto.jsonl'))).toBe(false);
  });
});

describe('a verification summary', () => {
  let prepared: Prepared;
  const run = (transcript: string): Promise<void> => runTranscript(prepared.home, transcript);
  /** The summary that was written, by whoever is expected to have signed it. */
  function read(signer: string) {
    const bytes = readFileSync(join(prepared.home.dir, 'vsa'));
    const keys = [prepared.keyring.findKey(signer).public];
    const { payload } = verifyEnvelope(parseEnvelope(bytes), { payloadType: STATEMENT, keys, threshold: 1 });
    const { subjects, predicateType, predicate } = parseStatement(payload);
    expect([subjects, predicateType]).toEqual([[ARTIFACT], VERIFICATION_SUMMARY_TYPE]);
    return parseVerificationSummary(predicate);
  }

  beforeAll(() => {
    prepared = prepare();
  });

  afterAll(async () => {
    await prepared.home[Symbol.asyncDispose]();
  });

  it('says FAILED of an artifact that nobody signed, and leaves with what verify leaves with', async () => {
    await run(`
$ provost verify HOME/app --vsa HOME/vsa --key mallory
app  ${ARTIFACT.digest}
unsigned
! a summary that says FAILED is in HOME/vsa
? 5
`);
    expect(read('mallory')).toMatchObject({ isPassed: false, verifiedLevels: ['FAILED'], inputAttestations: [] });
  });

  it('says who verified what, when, and under which policy', async () => {
    const digest = prepared.keep(prepared.says('alice'));
    const beforeMs = Date.now();
    await run(`
$ provost verify HOME/app --vsa HOME/vsa --key mallory
app  ${ARTIFACT.digest}
verified
  alice ${RELEASE_TYPE}: signed by 'alice', a trusted publisher
! a summary that says PASSED, SLSA_BUILD_LEVEL_0 is in HOME/vsa
`);
    const { verifiedMs, ...summary } = read('mallory');
    expect(verifiedMs).toBeGreaterThanOrEqual(beforeMs);
    expect(verifiedMs).toBeLessThanOrEqual(Date.now());
    const { digest: policy } = JSON.parse(await prepared.home.ok('policy', 'show', '--json')) as { digest: string };
    const verifier = `https://provost.dev/verifier/${prepared.id}`;
    expect(summary).toEqual({
      verifier: { id: verifier, version: new Map() },
      resourceUri: `file://${prepared.home.dir}/app`,
      policy: { uri: `${verifier}/policy`, digests: new Map([['sha256', policy.slice('sha256:'.length)]]) },
      inputAttestations: [{ uri: null, digests: new Map([['sha256', digest.slice('sha256:'.length)]]) }],
      isPassed: true,
      verifiedLevels: ['SLSA_BUILD_LEVEL_0'],
      dependencyLevels: new Map(),
      slsaVersion: '1.0',
    });
  });

  it('claims a level of the build only for provenance by a trusted builder', async () => {
    prepared.keep(prepared.says('alice', { type: SLSA_PROVENANCE_TYPE, predicate: PROVENANCE }));
    prepared.keep(prepared.says('mallory', { type: SLSA_PROVENANCE_TYPE, predicate: PROVENANCE }));
    prepared.keep(prepared.says('ci', { type: SLSA_PROVENANCE_TYPE, predicate: {} }));
    await prepared.home.ok(
      'verify',
      join(prepared.home.dir, 'app'),
      '--vsa',
      join(prepared.home.dir, 'vsa'),
      '--key',
      'mallory',
    );
    expect(read('mallory').verifiedLevels).toEqual(['SLSA_BUILD_LEVEL_0']);
    prepared.keep(prepared.says('ci', { type: SLSA_PROVENANCE_TYPE, predicate: PROVENANCE }));
    await prepared.home.ok(
      'verify',
      join(prepared.home.dir, 'app'),
      '--vsa',
      join(prepared.home.dir, 'vsa'),
      '--key',
      'mallory',
    );
    expect(read('mallory').verifiedLevels).toEqual(['SLSA_BUILD_LEVEL_1']);
  });

  it('says FAILED when a key was revoked, and is signed by no such key', async () => {
    prepared.keyring.revokeKey({ key: 'ci', reason: 'stolen', nowMs: NOW_MS });
    await run(`
$ provost verify HOME/app --vsa HOME/vsa --key alice
app  ${ARTIFACT.digest}
revoked
...
! a summary that says FAILED is in HOME/vsa
? 4
$ provost verify HOME/app --vsa HOME/vsa --key ci
! provost: key 'ci' cannot sign: it was revoked at <t>: stolen
...
? 3
`);
    expect(read('alice')).toMatchObject({ isPassed: false, verifiedLevels: ['FAILED'] });
  });

  it('needs a file, and a key of this home that others cannot read', async () => {
    chmodSync(join(prepared.home.dir, `keys/${prepared.keyring.findKey('mallory').id}.key`), 0o644);
    await run(`
$ provost verify HOME/app --vsa HOME/new
! provost: a summary needs a file and a key that signs it
!   Give both: --vsa FILE --key NAME.
!   (CLI_USAGE, exit 2)
? 2
$ provost verify HOME/app --key alice
! provost: a summary needs a file and a key that signs it
...
? 2
$ provost verify HOME/app --vsa HOME/new --key bob
! provost: no key has the name or id 'bob'
...
? 2
$ provost verify HOME/app --vsa HOME/new --key mallory
! provost: the private part of key 'mallory' cannot be used: others may read <…>
...
? 6
$ provost verify HOME/app --vsa HOME/none/new --key alice
...
! provost: the summary cannot be written: <…>
...
? 6
`);
    expect(existsSync(join(prepared.home.dir, 'new'))).toBe(false);
  });
});
