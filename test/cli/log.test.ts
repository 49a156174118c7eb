// Logs from the command line: made, served, proved from, checked, mirrored and witnessed, by processes of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ErrorDocument } from '../../src/api/index.ts';
import { digestOf } from '../../src/artifact/index.ts';
import { makeKeyPair, signerOf } from '../../src/provenance/ed25519.ts';
import { attest, RELEASE_TYPE } from '../../src/provenance/index.ts';
import { freePort, openTestHome, type TestHome, until } from '../home-fixture.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';
import { runTranscript } from './transcript.ts';
import { openLoggedKeyring } from '../keyring-fixture.ts';

describe('provost log', () => {
  let home: TestHome;
  const servers: ChildProcess[] = [];
  let url = '';
  const at = (name: string): string => join(home.dir, name);
  const keyOf = (name: string): string => readFileSync(at(`${name}/key.pub`), 'utf8').trim();

  /** Starts a server of ours and waits for the line that says where it listens. */
  async function serve(...args: string[]): Promise<{ readonly line: string; readonly child: ChildProcess }> {
    const child = spawn(join(PROJECT_FOLDER, 'bin/provost'), ['log', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PROVOST_HOME: home.dir },
    });
    servers.push(child);
    let line = '';
    child.stdout.on('data', (chunk: Buffer) => (line += chunk.toString()));
    await until('it listens', () => line.includes('\n'));
    return { line: line.trim(), child };
  }

  const end = (child: ChildProcess): Promise<unknown> =>
    new Promise((ended) => child.once('exit', ended) && child.kill('SIGTERM'));

  const add = async (entry: string): Promise<string> =>
    (await fetch(`${url}/add`, { method: 'POST', body: entry })).text();

  beforeAll(async () => {
    home = openTestHome();
    writeFileSync(at('app'), 'app 1.0\n');
  });

  afterAll(async () => {
    await Promise.all(servers.filter(({ exitCode }) => exitCode === null).map(end));
    await home[Symbol.asyncDispose]();
  });

  it('makes a log once, and says what it needs', async () => {
    await runTranscript(
      home,
      `
$ provost log init HOME/log-a --origin example.com/a --format raw
example.com/a+<id>+<key>
! publish this key: whoever checks the log needs it. Serve it with provost log serve HOME/log-a
$ provost log init HOME/log-a --origin example.com/a --format raw
! provost: there is a log in HOME/log-a
!   Serve it with provost log serve HOME/log-a, or give another folder.
!   (LEDGER_EXISTS, exit 2)
? 2
$ provost log init HOME/log-b --origin "a b"
! provost: the key of a log or witness cannot be used: its name holds a space or a plus sign, or is empty
!   Give it as its operator publishes it, in one line.
!   (LEDGER_KEY, exit 2)
? 2
$ provost log checkpoint http://127.0.0.1:9
! provost: the public key of http://127.0.0.1:9 is not known
!   Give it with --key: NAME+ID+BASE64, as the log’s operator publishes it.
!   (ENGINE_LOG, exit 2)
? 2
$ provost log checkpoint HOME/log-a
! provost: the log cannot be read: HOME/log-a has no checkpoint
!   Give the folder of a log, or the URL below which it is served.
!   (LEDGER_UNAVAILABLE, exit 6)
? 6
$ provost log serve HOME/log-a --quorum 1
! provost: a quorum of '1' among 0 witnesses cannot be met
!   Give a --witness for each.
!   (CLI_USAGE, exit 2)
? 2
$ provost log serve HOME/log-a --witness nowhere
! provost: 'nowhere' is no witness
!   Give its URL and its key: http://127.0.0.1:7441=NAME+ID+BASE64
!   (ENGINE_LOG, exit 2)
? 2
`,
    );
  });

  it('keeps the format that a log was made with', async () => {
    await runTranscript(
      home,
      `
$ provost log init HOME/log-a --origin example.com/a
! provost: the log in HOME/log-a has the format raw, not provost
!   A log keeps its format: give another folder.
!   (LEDGER_FORMAT, exit 2)
? 2
$ provost log init HOME/log-b --origin example.com/b --format sumdb
! provost: "sumdb" is no format of a log
!   Give one of provost, raw, gosum.
!   (LEDGER_FORMAT, exit 2)
? 2
$ provost log init HOME/log-b --origin https://example.com --format gosum
! provost: the go command takes no checksum database of this name
!   Name it as a host, with a path where you like: sum.example.com or example.com/sum.
!   (LEDGER_KEY, exit 2)
? 2
$ provost log init HOME/log-g --origin sum.example.com --format gosum --json
{"dir":"HOME/log-g","origin":"sum.example.com","format":"gosum","key":"sum.example.com+<key>"}
! <hint>
`,
    );
    const { stdout } = await home.provost(['log', 'init', at('log-n'), '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ origin: `${hostname()}/log-n`, format: 'provost' });
  });

  it('serves it, with the cosignatures of a witness, and takes each entry once', async () => {
    const key = keyOf('log-a');
    const witnessPort = await freePort();
    const witness = await serve(
      'witness',
      at('witness'),
      '--name',
      'w.example',
      '--log',
      key,
      '--listen',
      `127.0.0.1:${witnessPort}`,
    );
    const [witnessUrl = '', witnessKey = ''] = witness.line.split(' ');
    const port = await freePort();
    const log = await serve(
      'serve',
      at('log-a'),
      '--listen',
      `127.0.0.1:${port}`,
      '--witness',
      `${witnessUrl}=${witnessKey}`,
      '--quorum',
      '1',
    );
    url = log.line.split(' ')[0] ?? '';
    expect(await Promise.all(['app 1.0\n', 'app 1.1\n', 'app 1.0\n'].map(add))).toEqual(['0', '1', '0']);
    expect((await fetch(`${url}/add`, { method: 'POST', body: 'x'.repeat(70_000) })).status).toBe(400);
    expect((await fetch(`${url}/tile/0/007`)).status).toBe(404);
    expect((await fetch(`${url}/checkpoint`)).headers.get('cache-control')).toBe('no-cache');
    const [key2, url2] = [key, url];
    const transcript = `
$ provost log checkpoint URL --key KEY --witness-key WITNESS --quorum 1
example.com/a: 2 entries, root <root>
  cosigned by w.example at <time>
$ provost log prove URL --key KEY --entry HOME/app --out HOME/app.tlog-proof
$ provost log verify --receipt HOME/app.tlog-proof --entry HOME/app --key KEY --witness-key WITNESS --quorum 1
entry 0 of example.com/a
$ provost log verify URL --key KEY
example.com/a: 2 entries, root <root>
! every entry and tile is what the checkpoint commits to
$ provost log mirror URL HOME/copy --key KEY
example.com/a: 2 entries, root <root>
$ provost log verify HOME/copy
example.com/a: 2 entries, root <root>
! every entry and tile is what the checkpoint commits to
$ provost log prove URL --key KEY --index 2
! provost: entry 2 is not within a tree of 2 entries
!   Indexes begin at 0; provost log checkpoint prints the size.
!   (LEDGER_RANGE, exit 2)
? 2
$ provost log prove URL --key KEY
! provost: give either the index or the bytes of an entry
!   provost log prove --index 7, or --entry FILE
!   (CLI_USAGE, exit 2)
? 2
$ provost log serve HOME/log-a
! provost: another process is writing to this log
!   End it first; of a home it is the supervisor: provost shutdown.
!   (LEDGER_LOCKED, exit 6)
? 6
`;
    await runTranscript(
      home,
      transcript.replaceAll('URL', url2).replaceAll('KEY', key2).replaceAll('WITNESS', witnessKey),
    );
    await end(log.child);
    writeFileSync(at('other'), 'app 2.0\n');
    await runTranscript(
      home,
      `
$ provost log verify HOME/log-a
example.com/a: 2 entries, root <root>
! every entry and tile is what the checkpoint commits to
$ provost log prove HOME/log-a --entry HOME/other
! provost: no entry of the 2 has these bytes
!   An entry counts byte for byte; a line break at the end is part of it.
!   (ENGINE_LOG, exit 5)
? 5
$ provost log verify --receipt HOME/app.tlog-proof --entry HOME/other --key ${key}
! provost: the proof does not hold: it leads to another root
! <hint>
!   (LEDGER_PROOF, exit 4)
? 4
`,
    );
  });

  it('takes what its format says: records of Go modules, or what a key that the home trusts signed', async () => {
    const post = async (to: string, body: string): Promise<string> => {
      const answer = await fetch(`${to}/add`, { method: 'POST', body });
      return `${answer.status} ${answer.ok ? await answer.text() : ((await answer.json()) as ErrorDocument).error.code}`;
    };
    const gosum = await serve('serve', at('log-g'), '--listen', `127.0.0.1:${await freePort()}`);
    const [gosumUrl = ''] = gosum.line.split(' ');
    const hash = `h1:${Buffer.alloc(32).toString('base64')}`;
    const record = `example.com/m v1.0.0 ${hash}\nexample.com/m v1.0.0/go.mod ${hash}\n`;
    expect([await post(gosumUrl, 'app 1.0'), await post(gosumUrl, record)]).toEqual(['400 LEDGER_RECORD', '200 0']);
    expect(await (await fetch(`${gosumUrl}/lookup/example.com/m@v1.0.0`)).text()).toContain(`0\n${record}\n`);
    await end(gosum.child);
    await home.ok('log', 'verify', at('log-g'));

    await home.ok('log', 'init', at('log-p'), '--origin', 'example.com/p');
    const { publicKey, privatePem } = makeKeyPair();
    openLoggedKeyring(at('keys'), 'home:000000').trustKey({
      key: 'vendor',
      publicPem: publicKey.object.export({ type: 'spki', format: 'pem' }).toString(),
      ...{ role: 'publisher', scope: '*', predicateTypes: [], expiresMs: null, nowMs: Date.now() },
    });
    const signed = attest({
      subjects: [{ name: 'app', digest: digestOf('app 1.0') }],
      ...{ predicateType: RELEASE_TYPE, predicate: {}, signer: signerOf(privatePem), issuer: 'vendor' },
    }).bytes.toString();
    const envelopes = await serve('serve', at('log-p'), '--listen', `127.0.0.1:${await freePort()}`);
    const [envelopesUrl = ''] = envelopes.line.split(' ');
    expect([
      await post(envelopesUrl, 'app 1.0'),
      await post(envelopesUrl, signed.replace('"sig":"', '"sig":"AAAA')),
      await post(envelopesUrl, signed),
      await post(envelopesUrl, signed),
    ]).toEqual(['422 PROVENANCE_JSON', '422 PROVENANCE_SIGNATURE', '200 0', '200 0']);
    await end(envelopes.child);
    await runTranscript(
      home,
      `
$ provost log verify HOME/log-p
example.com/p: 1 entries, root <root>
! every entry and tile is what the checkpoint commits to
$ provost log document HOME/log-p sha256:${'0'.repeat(64)}
! provost: the document is not kept in HOME/log-p/documents
!   Give its digest as the log’s entry has it; other logs may have it too.
!   (LEDGER_NO_DOCUMENT, exit 5)
? 5
$ provost log document HOME/log-p ${digestOf(signed)} --out HOME/envelope
$ provost log document HOME/log-p ${digestOf(signed)} --erase
! ${digestOf(signed)} is erased; its entry in the log stays
$ provost log document HOME/log-p ${digestOf(signed)}
! provost: the document was erased in HOME/log-p/documents
!   Give its digest as the log’s entry has it; other logs may have it too.
!   (LEDGER_NO_DOCUMENT, exit 5)
? 5
$ provost log verify HOME/log-p
example.com/p: 1 entries, root <root>
! every entry and tile is what the checkpoint commits to
`,
    );
    expect(readFileSync(at('envelope'), 'utf8')).toBe(signed);
  });

  it('shows both checkpoints of a log that went back, or that has two trees', async () => {
    const grow = async (name: string, ...entries: readonly string[]): Promise<void> => {
      const log = await serve('serve', at(name), '--listen', `127.0.0.1:${await freePort()}`);
      url = log.line.split(' ')[0] ?? '';
      for (const entry of entries) await add(entry);
      await end(log.child);
    };
    await home.ok('log', 'init', at('log-c'), '--origin', 'example.com/c', '--format', 'raw');
    await grow('log-c', 'one');
    // What a restore from a backup comes to, for those who saw more.
    cpSync(at('log-c'), at('restored'), { recursive: true });
    await grow('log-c', 'two');
    await home.ok('log', 'mirror', at('log-c'), at('copy-c'));
    await runTranscript(
      home,
      `
$ provost log mirror HOME/restored HOME/copy-c
example.com/c
2
<root>

— example.com/c <signature>

example.com/c
1
<root>

— example.com/c <signature>
! provost: the log 'example.com/c' went back from 2 entries to 1
! <hint>
!   (LEDGER_ROLLBACK, exit 4)
? 4
`,
    );
    await grow('restored', 'another two', 'three');
    const { stdout, code } = await home.provost(['log', 'mirror', at('restored'), at('copy-c'), '--json']);
    expect([code, JSON.parse(stdout)]).toMatchObject([4, { error: { code: 'LEDGER_FORK' } }]);
  });
});
