// `provost verify` of a whole chain: the tree, the document, the graphs, and receipts by which others check it offline; no supervisor, no root.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { digestOf } from '../../src/artifact/index.ts';
import { openHome, type VerificationDocument } from '../../src/engine/index.ts';
import { openJournal, publicKeyOf } from '../../src/ledger/index.ts';
import { attest, openAttestationStore } from '../../src/provenance/index.ts';
import { CHAIN_NOW_MS, COMMIT, resourceOf, type Said, says, things } from '../chain-fixture.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { type LoggedKeyring, openLoggedKeyring } from '../keyring-fixture.ts';
import { runTranscript } from './transcript.ts';

const APP = digestOf('the artifact\n');
const { commit, product } = things;
/** A name that would be markup in a graph, and turn what follows around. */
const HOSTILE = '<script>"alert"</script>\u202E';

interface Prepared {
  readonly home: TestHome;
  readonly keyring: LoggedKeyring;
}

function prepare(): Prepared {
  const home = openTestHome();
  const { keysDir } = openHome(home.dir);
  writeFileSync(join(home.dir, 'app'), 'the artifact\n');
  return { home, keyring: openLoggedKeyring(keysDir, 'home:test') };
}

function trust(keyring: LoggedKeyring, name: string, role: 'publisher' | 'builder', publicPem: string | null): void {
  const rest = { scope: '*', predicateTypes: [], expiresMs: null, nowMs: CHAIN_NOW_MS };
  keyring.trustKey({ key: name, publicPem, role, ...rest });
}

async function sayAll({ home, keyring }: Prepared): Promise<void> {
  const { id, logDir, attestationsDir } = openHome(home.dir);
  await using journal = await openJournal(logDir, `provost/home/${id}`);
  const store = openAttestationStore(attestationsDir);
  const all: readonly (readonly [string, typeof APP, Said])[] = [
    ['alice', commit, says.source(COMMIT, commit)],
    ['ci', product, says.build([{ ...resourceOf(commit, COMMIT), name: HOSTILE }])],
    ['ci', commit, says.test('WARNED')],
    ['ci', product, says.deps()],
    ['ci', APP, says.package([product])],
    ['alice', APP, says.release()],
  ];
  for (const [key, digest, [predicateType, predicate]] of all) {
    const signer = keyring.openSigner(key);
    const made = attest({ subjects: [{ name: 'x', digest }], predicateType, predicate, signer, issuer: 'home:test' });
    store.put(made.bytes, await journal.append(made.leaf, { flush: true }));
  }
}

describe('provost verify of a chain', () => {
  let ours: Prepared;
  let theirs: Prepared;
  let logKey = '';
  const run = (transcript: string, { home } = ours): Promise<void> =>
    runTranscript(home, transcript.replaceAll('OURS', ours.home.dir).replaceAll('LOGKEY', logKey));

  beforeAll(async () => {
    [ours, theirs] = [prepare(), prepare()];
    for (const [name, role] of [
      ['alice', 'publisher'],
      ['ci', 'builder'],
    ] as const) {
      const { key } = ours.keyring.generateKey({ name, nowMs: CHAIN_NOW_MS });
      trust(ours.keyring, name, role, null);
      trust(theirs.keyring, name, role, key.public.object.export({ type: 'spki', format: 'pem' }).toString());
    }
    await sayAll(ours);
    logKey = publicKeyOf(join(ours.home.dir, 'log')) ?? '';
  });

  afterAll(async () => {
    await ours.home[Symbol.asyncDispose]();
    await theirs.home[Symbol.asyncDispose]();
  });

  it('shows each link from the artifact to the commit: who, why, and where it is logged', async () => {
    await run(`
$ provost verify HOME/app --export HOME/app.intoto.jsonl --receipts HOME/app.receipts.jsonl --graph HOME/app.svg
app  ${APP}
verified
...
! 6 attestations are in HOME/app.intoto.jsonl
`);
    const { stdout } = await ours.home.provost(['verify', join(ours.home.dir, 'app')]);
    expect(stdout.split('\n').slice(2).toSorted()).toEqual(
      `
  ✓ package      signed by 'ci', a trusted builder; log entry 4
    content ${product.slice(0, 19)}
      ✓ build        built by https://provost.test/builder; signed by 'ci', a trusted builder; log entry 1
        commit <script>"alert"</script>\\u{202e} ${commit.slice(0, 19)}
          ✓ source       commit ${COMMIT.slice(0, 12)} signed by publisher alice; signed by 'alice', a trusted publisher; log entry 0
          ✓ test         tests warned (1 passed); signed by 'ci', a trusted builder; log entry 2
      ✓ deps         all of 1 dependencies are pinned by hash and come from where the policy trusts; signed by 'ci', a trusted builder; log entry 3
  ✓ release      signed by 'alice', a trusted publisher; log entry 5
  – deploy       it was never started here
`
        .slice(1)
        .split('\n')
        .toSorted(),
    );
  });

  it('prints the whole chain as one object, with what it is worth', async () => {
    const { stdout, code } = await ours.home.provost(['verify', join(ours.home.dir, 'app'), '--json']);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as VerificationDocument;
    const worth = Object.fromEntries(document.evidence.map(({ check, score }) => [check, score]));
    expect(worth).toEqual({
      'build.attestation': 1,
      'build.provenance': 1,
      'build.source': 1,
      'build.environment': 1,
      'build.dependencies': 1,
      'build.tests': 0.5,
    });
    const pack = document.chain.links.find(({ kind }) => kind === 'package');
    const build = pack?.leadsTo[0]?.links.find(({ kind }) => kind === 'build');
    expect(build).toMatchObject({ status: 'verified', entry: { index: 1, log: null }, signers: [{ keyName: 'ci' }] });
    expect(build?.leadsTo[0]).toMatchObject({ role: 'commit', digest: commit });
  });

  it('draws it, with nothing in the picture that runs or was not escaped', async () => {
    const svg = readFileSync(join(ours.home.dir, 'app.svg'), 'utf8');
    expect(svg).toMatch(
      /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" [^>]*>\n<title>The chain of app: verified<\/title>/,
    );
    expect(svg).toContain('&lt;script&gt;&quot;alert&quot;');
    expect(svg).not.toMatch(/<script|<foreignObject|href=|\son\w+=|\u202E/i);
    await run(`
$ provost verify HOME/app --graph HOME/app.dot
app  ${APP}
verified
...
$ provost verify HOME/app --graph HOME/app.png
! provost: a graph is an SVG or a DOT file
!   Name it so: --graph chain.svg, or --graph chain.dot.
!   (CLI_USAGE, exit 2)
? 2
`);
    const dot = readFileSync(join(ours.home.dir, 'app.dot'), 'utf8');
    expect(dot).toMatch(/^digraph chain \{\n {2}label="app: verified";/);
    expect(dot).toContain(String.raw`label="commit <script>\"alert\"</script>\\u{202e} sha256`);
  });

  it('is checked offline by others, by receipts of a log whose key they have', async () => {
    await run(
      `
$ provost verify HOME/app --attestations OURS/app.intoto.jsonl --receipts OURS/app.receipts.jsonl --log-key LOGKEY
app  ${APP}
verified
...
`,
      theirs,
    );
    const { stdout } = await theirs.home.provost(
      [
        'verify',
        join(theirs.home.dir, 'app'),
        '--json',
        '--attestations',
        join(ours.home.dir, 'app.intoto.jsonl'),
      ].concat('--receipts', join(ours.home.dir, 'app.receipts.jsonl'), '--log-key', logKey),
    );
    const { evidence } = JSON.parse(stdout) as VerificationDocument;
    const origin = logKey.split('+')[0];
    expect(evidence.find(({ check }) => check === 'build.provenance')).toMatchObject({
      score: 1,
      reason: `built by 'ci' from a recorded commit (log entries 0, 1, 4 of ${origin})`,
    });
  });

  it('fails where a receipt is for something else, or by another log', async () => {
    const lines = readFileSync(join(ours.home.dir, 'app.receipts.jsonl'), 'utf8').trimEnd().split('\n');
    const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, string>);
    const swapped = [{ ...first, receipt: second?.['receipt'] }, second].map((line) => JSON.stringify(line));
    writeFileSync(join(theirs.home.dir, 'swapped'), [...swapped, ...lines.slice(2)].join('\n'));
    writeFileSync(join(theirs.home.dir, 'broken'), `${lines[0]}\n{}\n`);
    await run(
      `
$ provost verify HOME/app --attestations OURS/app.intoto.jsonl --receipts HOME/swapped --log-key LOGKEY
app  ${APP}
failed
...
? 4
$ provost verify HOME/app --attestations OURS/app.intoto.jsonl --receipts HOME/broken --log-key LOGKEY
! provost: the receipts cannot be used: HOME/broken:2 is no receipt of an attestation
!   Each line is what provost verify --export FILE --receipts FILE wrote.
!   (ENGINE_RECEIPTS, exit 4)
? 4
$ provost verify HOME/app --attestations OURS/app.intoto.jsonl --receipts HOME/swapped
! provost: a receipt proves nothing without the key of the log that gave it
...
? 2
$ provost verify HOME/app --receipts HOME/swapped
! provost: receipts are written beside --export, or read beside --attestations
...
? 2
$ provost verify HOME/app --log-key LOGKEY
! provost: --log-key is about receipts
...
? 2
$ provost verify HOME/app --export HOME/x --receipts HOME/y --log-key LOGKEY
! provost: --log-key is about receipts that are read
...
? 2
`,
      theirs,
    );
    expect(existsSync(join(theirs.home.dir, 'x'))).toBe(false);
  });

  it('fails when the log does not have what the attestations say that it has', async () => {
    renameSync(join(ours.home.dir, 'log'), join(ours.home.dir, 'lost'));
    await run(`
$ provost verify HOME/app
app  ${APP}
failed
...
? 4
$ provost verify HOME/app --export HOME/x --receipts HOME/y
! provost: the log has no checkpoint over the entry of sha256:<digest>
...
? 6
`);
  });
});
