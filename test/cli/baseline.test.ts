// Baselines from others: what is taken over, and every kind of file that is refused with nothing stored.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BaselineDocument } from '../../src/api/index.ts';
import { type Digest, digestOf } from '../../src/artifact/index.ts';
import { canonicalJson } from '../../src/base/index.ts';
import { createModel, learn, type Model, modelDigest, type Window } from '../../src/behaviour/index.ts';
import { Client, RemoteError } from '../../src/cli/client.ts';
import { openJournalReader } from '../../src/ledger/index.ts';
import {
  encodeEnvelope,
  type Keyring,
  openAttestationStore,
  openKeyring,
  parseLeaf,
  signEnvelope,
  STATEMENT_MEDIA_TYPE,
} from '../../src/provenance/index.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { runTranscript } from './transcript.ts';
import { quietWindow } from '../quiet-window.ts';

const TRACE = 'https://in-toto.io/attestation/runtime-trace/v0.1';
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'x64';
const STILL = { ...quietWindow, memoryBytes: 1e6, memoryPeakBytes: 1e6 };

function taught(architecture: 'x64' | 'arm64' = ARCHITECTURE): Model {
  let model = createModel(architecture);
  for (let at = 0; at < 60; at += 1) {
    const window: Window = {
      ...STILL,
      cpuMs: 50 + at,
      syscalls: new Map([[1, 300]]),
      newDestinations: ['203.0.113.9:443/tcp'],
    };
    model = learn(model, window);
  }
  return model;
}

describe.skipIf(needs('root', 'runc', 'conmon', 'nft'))('a baseline of others', () => {
  let home: TestHome;
  let keyring: Keyring;
  let client: Client;
  const digest = digestOf('the artifact');
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript);

  beforeAll(async () => {
    home = openTestHome();
    for (const name of ['olga', 'oscar', 'peter', 'paula', 'mallory', 'scoped']) await home.ok('key', 'generate', name);
    await home.ok('key', 'trust', 'olga', '--role', 'operator');
    await home.ok('key', 'trust', 'oscar', '--role', 'operator');
    await home.ok('key', 'trust', 'peter', '--role', 'publisher');
    await home.ok('key', 'trust', 'paula', '--role', 'publisher', '--predicate-type', TRACE);
    await home.ok('key', 'trust', 'scoped', '--role', 'operator', '--scope', 'shop/*');
    keyring = openKeyring(join(home.dir, 'keys'), 'home:test');
    client = new Client(join(home.dir, 'provost.sock'));
  });
  afterAll(() => home[Symbol.asyncDispose]());

  interface Said {
    readonly about?: Digest;
    readonly key?: string;
    readonly type?: string;
    readonly model?: unknown;
    readonly named?: string;
    readonly predicate?: unknown;
    readonly monitor?: string;
  }

  /** Writes a signed file that says this, and a whole baseline where it says nothing. */
  function write(name: string, said: Said = {}): void {
    const { about = digest, key = 'olga', type = TRACE, monitor = 'https://provost.dev/monitor/v1' } = said;
    const { model = taught(), named = modelDigest(model as Model) } = said;
    const whole = { monitor: { type: monitor }, provostBaseline: { driver: 'runc', modelDigest: named, model } };
    const statement = {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'shop/web', digest: { sha256: about.replace('sha256:', '') } }],
      predicateType: type,
      predicate: said.predicate ?? whole,
    };
    const signer = keyring.openSigner(key);
    const payload = Buffer.from(JSON.stringify(statement));
    writeFileSync(join(home.dir, name), encodeEnvelope(signEnvelope(STATEMENT_MEDIA_TYPE, payload, [signer])));
  }

  /** Over the socket, as the command does it: a process for each of so many cases takes minutes. */
  async function refusal(name: string): Promise<{ readonly code: string; readonly exit: number }> {
    const envelope = readFileSync(join(home.dir, name)).toString('base64');
    const body = { envelope, about: null, replace: false, reason: 'a test', key: null };
    const error: unknown = await client.call({ method: 'POST', path: '/v1/baselines/import', body }).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof RemoteError)) throw new Error('it was not refused', { cause: error });
    return { code: error.code, exit: error.exit };
  }

  async function nothingIsStored(): Promise<void> {
    const path = `/v1/baselines?subject=${digest}&reference=${digest}`;
    await expect(client.call({ method: 'GET', path })).rejects.toThrow('nothing is known here');
    expect(openAttestationStore(join(home.dir, 'attestations')).list(digest)).toEqual([]);
  }

  it.each<[string, Said, string, number]>([
    ['by a key that nobody trusts', { key: 'mallory' }, 'PROVENANCE_UNTRUSTED', 3],
    ['by a publisher, who does not say what is normal here', { key: 'peter' }, 'PROVENANCE_UNTRUSTED', 3],
    ['by an operator of other artifacts', { key: 'scoped' }, 'PROVENANCE_UNTRUSTED', 3],
    ['of another type', { type: 'https://provost.dev/attestation/deploy/v1' }, 'ENGINE_BASELINE', 4],
    ['of another version of the type', { type: TRACE.replace('v0.1', 'v0.9') }, 'ENGINE_BASELINE', 4],
    ['of another monitor', { monitor: 'https://example.com/monitor' }, 'ENGINE_BASELINE', 4],
    ['without a model', { predicate: { monitor: { type: 'https://provost.dev/monitor/v1' } } }, 'ENGINE_BASELINE', 4],
    ['that names another model', { named: 'ab'.repeat(32) }, 'ENGINE_BASELINE', 4],
    ['of another version', { model: { ...taught(), version: 1 } }, 'BEHAVIOUR_MODEL', 4],
    ['with numbers below 0', { model: { ...taught(), scores: taught().scores.map(() => -1) } }, 'BEHAVIOUR_MODEL', 4],
    [
      'with what is no number',
      { model: { ...taught(), windows: 'NaN' }, named: 'ab'.repeat(32) },
      'BEHAVIOUR_MODEL',
      4,
    ],
    ['that finds everything normal', { model: { ...taught(), scores: [] } }, 'BEHAVIOUR_MODEL', 4],
    ['that learnt too little to judge', { model: createModel(ARCHITECTURE) }, 'BEHAVIOUR_MODEL', 4],
    ['of another architecture', { model: taught(ARCHITECTURE === 'x64' ? 'arm64' : 'x64') }, 'ENGINE_BASELINE', 4],
  ])('is refused %s', async (_why, said, code, exit) => {
    write('given.json', said);
    expect(await refusal('given.json')).toMatchObject({ code, exit });
    await nothingIsStored();
  });

  it('is refused when a key that was revoked since signed it', async () => {
    write('given.json', { key: 'oscar' });
    await home.ok('key', 'revoke', 'oscar', '--reason', 'it was stolen');
    expect(await refusal('given.json')).toEqual({ code: 'PROVENANCE_UNTRUSTED', exit: 3 });
    await nothingIsStored();
  });

  it('is refused when it is larger than any, before it is sent, and by who gets it all the same', async () => {
    writeFileSync(join(home.dir, 'given.json'), Buffer.alloc(524_289, 32));
    await run(`
$ provost baseline import HOME/given.json
! provost: HOME/given.json has more than 524288 bytes: it is no baseline
!   Name a file that provost baseline export wrote.
!   (CLI_FILE, exit 4)
? 4
`);
    expect(await refusal('given.json')).toEqual({ code: 'ENGINE_BASELINE', exit: 4 });
    writeFileSync(join(home.dir, 'given.json'), Buffer.alloc(600_000, 32));
    expect(await refusal('given.json')).toEqual({ code: 'SERVER_REQUEST', exit: 2 });
  });

  it.each<[string, (whole: Buffer) => Buffer | string, string]>([
    ['is cut off', (whole) => whole.subarray(0, whole.length / 2), 'PROVENANCE_JSON'],
    ['is empty', () => '', 'PROVENANCE_JSON'],
    ['is no JSON', () => '\0\xff{', 'PROVENANCE_JSON'],
    ['says a key twice', () => '{"payload":"","payload":""}', 'PROVENANCE_JSON'],
    ['is no envelope', () => canonicalJson(taught()), 'PROVENANCE_ENVELOPE'],
    [
      'is not signed',
      (whole) => canonicalJson({ ...(JSON.parse(whole.toString()) as object), signatures: [] }),
      'PROVENANCE_ENVELOPE',
    ],
    ['was changed after it was signed', tampered, 'PROVENANCE_SIGNATURE'],
  ])('is refused when its file %s', async (_how, spoil, code) => {
    write('given.json');
    writeFileSync(join(home.dir, 'given.json'), spoil(readFileSync(join(home.dir, 'given.json'))));
    expect(await refusal('given.json')).toMatchObject({ code, exit: 4 });
    await nothingIsStored();
  });

  function tampered(whole: Buffer): string {
    const envelope = JSON.parse(whole.toString()) as { payload: string };
    const payload = Buffer.from(envelope.payload, 'base64').toString().replace('203.0.113.9', '203.0.113.8');
    return JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString('base64') });
  }

  it('is taken over by whom an operator trusts for it, is in the log, and tells where it came from', async () => {
    write('web.json');
    await run(`
$ provost baseline show ${digest}
! provost: nothing is known here of how ${digest} behaves
!   Run it for a while (provost run), or take over what others learnt: provost baseline import FILE.
!   (ENGINE_NO_BASELINE, exit 5)
? 5
$ provost baseline import HOME/web.json --artifact sha256:${'ab'.repeat(32)}
! provost: the baseline is about ${digest}, not about sha256:${'ab'.repeat(32)}
!   Import the one of this artifact.
!   (ENGINE_BASELINE, exit 4)
? 4
$ provost baseline import HOME/web.json
${digest}  ${digest}
runc knows 60 windows, signed by olga (entry <n>)
$ provost baseline import HOME/web.json
! provost: there is a baseline of ${digest} here already, of 60 windows under runc
!   Look at it (provost baseline show), and say --replace to put this one in its place.
!   (ENGINE_BASELINE_KNOWN, exit 3)
? 3
$ provost baseline show ${digest}
${digest}  ${digest}
sandbox   runc (${ARCHITECTURE})
learnt    60 windows; judges new windows among 30
calls     <call>
programs  none
talks to  203.0.113.9:443/tcp
files     none
normal    up to <n> ms of CPU a second
...
model     <hex>
from      imported at <time>, signed by olga (entry <n>); 0 windows learnt here since
`);
    write('paula.json', { key: 'paula' });
    await run(`
$ provost baseline import HOME/paula.json --replace --key olga --reason "of the publisher"
${digest}  ${digest}
runc knows 60 windows, in place of 60, signed by paula (entry <n>)
`);
    const shown = JSON.parse(await home.ok('baseline', 'show', digest, '--json')) as BaselineDocument;
    expect(shown).toMatchObject({
      imported: { by: 'paula', windows: 60 },
      phases: [],
      modelDigest: modelDigest(taught()),
    });
    const leaves: { kind: string; keys: readonly string[] }[] = [];
    for await (const { bytes } of openJournalReader(join(home.dir, 'log')).entries()) {
      const { kind, keys, subjects } = parseLeaf(bytes);
      if (subjects.includes(digest)) leaves.push({ kind, keys });
    }
    expect(leaves.map(({ kind }) => kind)).toEqual(['runtime', 'override', 'runtime', 'override']);
    expect(leaves.at(-1)?.keys).toEqual([keyring.findKey('olga').id]);
  });

  it('is signed again for others, by a key of this home alone', async () => {
    await run(`
$ provost baseline export ${digest} --key nobody --out HOME/out.json
! provost: no key has the name or id 'nobody'
!   Known keys: <keys>
!   (PROVENANCE_KEY_UNKNOWN, exit 2)
? 2
$ provost baseline export ${digest} --key olga --driver gvisor --out HOME/out.json
! provost: nothing was learnt under gvisor
!   It was learnt under runc.
!   (ENGINE_NO_BASELINE, exit 5)
? 5
$ provost baseline export ${digest} --key olga --out HOME/out.json
${digest}  ${digest}
signed with olga (entry <n>), written to HOME/out.json
$ provost baseline import HOME/out.json --replace --json
{"artifact":{<artifact>},"driver":"runc","windows":60,<more>,"replacedWindows":60}
`);
  });

  it('is not learnt from what does not run, nor without bounds', async () => {
    await run(`
$ provost baseline learn ${digest} --for 1s
! provost: nothing that can be learnt from runs of ${digest}
!   Start it first, let it do its usual work, and learn then; provost ps shows what runs.
!   (ENGINE_LEARNING, exit 2)
? 2
$ provost baseline learn ${digest} --for 25h
! error: option '--for <duration>' argument '25h' is invalid. write a time from 1s to 24h
! (provost --help shows the commands)
? 2
$ provost baseline learn ${digest} --windows 0
! error: option '--windows <count>' argument '0' is invalid. write a number from 1 to 100000
! (provost --help shows the commands)
? 2
`);
  });
});
