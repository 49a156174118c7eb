// `provost key`, and what signs with keys: positions in the log, trust that the log has, people's words on what runs.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hexOf } from '../../src/artifact/index.ts';
import { openJournalReader } from '../../src/ledger/index.ts';
import { type Leaf, parseEnvelope, parseLeaf } from '../../src/provenance/index.ts';
import { writeBusyboxImage } from '../busybox-image.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { runTranscript } from './transcript.ts';

async function leavesOf(home: TestHome): Promise<{ index: number; leaf: Leaf; document: Buffer }[]> {
  const leaves: { index: number; leaf: Leaf; document: Buffer }[] = [];
  for await (const { index, bytes } of openJournalReader(join(home.dir, 'log')).entries()) {
    const leaf = parseLeaf(bytes);
    const document = readFileSync(join(home.dir, 'content/blobs/sha256', hexOf(leaf.document.digest)));
    leaves.push({ index, leaf, document });
  }
  return leaves;
}

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'busybox'))('provost key', () => {
  let home: TestHome;
  let artifact: string;
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript.replaceAll('APP', artifact));
  const attest = async (key: string): Promise<number> => {
    const said = JSON.parse(await home.ok('attest', artifact, '--key', key, '--json')) as { logIndex: number };
    return said.logIndex;
  };
  const keyring = (): string => join(home.dir, 'keys/keyring.json');

  beforeAll(async () => {
    home = openTestHome();
    artifact = join(home.dir, 'app');
    writeFileSync(artifact, 'the artifact\n');
    for (const key of ['alice', 'bob']) {
      await home.ok('key', 'generate', key);
      await home.ok('key', 'trust', key);
    }
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  it('revokes from an index on: what the log has up to there still counts', async () => {
    const index = await attest('alice');
    await run(`
$ provost key revoke alice --last-valid x
! <…>
! <…>
? 2
$ provost key revoke alice --last-valid 999
! provost: the log has no entry 999: it has ${index + 1}
!   Give the index of the last entry that the right owner signed; provost log shows the log’s size.
!   (PROVENANCE_TRUST, exit 2)
? 2
$ provost key revoke alice --reason "laptop stolen" --last-valid ${index}
alice is revoked; what the log has up to index ${index} still counts
$ provost verify APP
app  sha256:<digest>
verified
...
$ provost attest APP --key alice
! provost: key 'alice' cannot sign: it was revoked at <t>: laptop stolen
...
? 3
$ provost key revoke alice --last-valid ${index}
! provost: key 'alice' cannot be revoked again: <…>
...
? 3
$ provost key list
NAME   ID<…>TRUST            SCOPE  PRIVATE  CREATED
host   <id>  not trusted      -      yes      <t>
alice  <id>  revoked after ${index}  *      yes      <t>
bob    <id>  publisher        *      yes      <t>
`);
    const keys = (await home.ok('key', 'list', '--json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    const [, alice] = keys;
    expect(alice).toMatchObject({
      name: 'alice',
      owner: 'alice',
      revoked: { reason: 'laptop stolen', lastValidIndex: index, logIndex: index + 1 },
      trusted: [{ role: 'publisher', scope: '*', predicateTypes: [], sinceIndex: null }],
    });
    const revocation = (await leavesOf(home)).at(-1);
    expect(revocation?.leaf).toMatchObject({ kind: 'revoke', keys: [(alice as { keyId: string }).keyId] });
    expect(JSON.parse(String(revocation?.document))).toMatchObject({ event: 'revoked', lastValidIndex: index });
    await run(`
$ provost key revoke alice --reason "it was earlier" --last-valid ${index - 1}
alice is revoked; what the log has up to index ${index - 1} still counts
$ provost verify APP
app  sha256:<digest>
revoked
  ✗ release      key 'alice' was revoked at <t>: it was earlier; it counts up to log index ${index - 1}, and this is at ${index}; log entry ${index}
...
? 4
`);
  });

  it('refuses a keyring that trusts what the log does not, and makes it again from the log', async () => {
    await home.ok('shutdown');
    const good = readFileSync(keyring(), 'utf8');
    writeFileSync(keyring(), good.replace('"scope":"*"', '"scope":"**"'));
    await run(`
$ provost key generate carol
! provost: the supervisor did not come up; its log ends with
!   provost supervisor: PROVENANCE_KEYRING: the keyring HOME/keys/keyring.json cannot be used: it trusts key '<name>' as publisher for '**', which the log does not have
!     Move that file away: the next supervisor makes it again from the log, which has every change of keys.
...
? 6
`);
    renameSync(keyring(), join(home.dir, 'aside.json'));
    await home.ok('key', 'generate', 'carol');
    const made = JSON.parse(readFileSync(keyring(), 'utf8')) as { keys: { name: string }[]; trust: unknown };
    expect(made.trust).toEqual((JSON.parse(good) as { trust: unknown }).trust);
    expect(made.keys.map(({ name }) => name)).toEqual(['host', 'alice', 'bob', 'carol']);
  });

  it('keeps a revocation that was taken out of the file', async () => {
    await home.ok('shutdown');
    const edited = JSON.parse(readFileSync(keyring(), 'utf8')) as { keys: Record<string, unknown>[] };
    Object.assign(edited.keys.find(({ name }) => name === 'alice') ?? {}, { revoked: null });
    writeFileSync(keyring(), JSON.stringify(edited));
    await run(`
$ provost key trust alice
! provost: key 'alice' cannot be trusted: it was revoked at <t>: it was earlier
...
? 3
`);
  });
});

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'busybox'))('what people say of what runs', () => {
  let home: TestHome;
  let image: string;

  beforeAll(async () => {
    home = openTestHome();
    const dir = join(home.dir, 'image');
    writeBusyboxImage({ dir });
    image = `oci:${dir}`;
    for (const key of ['alice', 'olga']) await home.ok('key', 'generate', key);
    await home.ok('key', 'trust', 'alice');
    await home.ok('key', 'trust', 'olga', '--role', 'operator');
    await home.ok('attest', image, '--key', 'alice');
    await home.ok('run', '-d', '--name', 'web', '--memory', '64Mi', image);
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  it('is signed by an operator’s key, and by no other', async () => {
    await runTranscript(
      home,
      `
$ provost override web --tier high --for 10m --reason "load test" --key alice
! provost: key 'alice' is not trusted as operator for 'oci:HOME/image'
!   Sign with an operator's key, or let an administrator say: provost key trust alice --role operator.
!   (PROVENANCE_KEY_ROLE, exit 3)
? 3
$ provost override web --tier high --for 10m --reason "load test" --key olga
web: high
$ provost override web --clear --key olga
web: medium
`,
    );
    const keys = (await home.ok('key', 'list', '--json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { name: string; keyId: string });
    const olga = keys.find(({ name }) => name === 'olga')?.keyId;
    const overrides = (await leavesOf(home)).filter(({ leaf }) => leaf.kind === 'override');
    expect(overrides.map(({ leaf }) => leaf.keys)).toEqual([[olga], [olga]]);
    const said = overrides.map(({ document }) => {
      const { payloadType, payload } = parseEnvelope(document);
      return [payloadType, JSON.parse(payload.toString())] as const;
    });
    const signedBy = { as: 'operator', key: 'olga', owner: 'olga' };
    const type = 'https://provost.dev/document/override/v1';
    expect(said).toEqual([
      [
        type,
        expect.objectContaining({ workload: 'web', override: expect.objectContaining({ tier: 'high' }), signedBy }),
      ],
      [type, { workload: 'web', override: null, signedBy }],
    ]);
  });

  it('is signed by the home’s own key when no person’s is named, and says so', async () => {
    await home.ok('override', 'web', '--tier', 'low', '--for', '10m', '--reason', 'quarantine');
    const last = (await leavesOf(home)).findLast(({ leaf }) => leaf.kind === 'override');
    const { payload } = parseEnvelope(last?.document ?? Buffer.alloc(0));
    expect(JSON.parse(payload.toString())).toMatchObject({ signedBy: { as: 'host', key: 'host' } });
    expect(last?.leaf.keys).toHaveLength(1);
  });
});
