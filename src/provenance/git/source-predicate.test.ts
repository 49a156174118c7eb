import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { GitFixture, type SshKeyFile } from '../../../test/git-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { canonicalJson } from '../../base/index.ts';
import { parseCommit } from './git-commit.ts';
import { type KnownIdentity, parseSigners } from './known-signers.ts';
import { describeSource, type SourcePredicate } from './source-predicate.ts';

const NOW_MS = Date.now() + 3_600_000;
const EVE = { GIT_COMMITTER_EMAIL: 'eve@example.com' };

describe.skipIf(needs('git', 'ssh-keygen', 'gpg'))('the source of a commit', () => {
  let fixture: GitFixture;
  let adasKey: SshKeyFile;
  let evesKey: SshKeyFile;
  let adasGpg: string;
  let ada: KnownIdentity;

  beforeAll(() => {
    fixture = new GitFixture();
    adasKey = fixture.makeSshKey('ed25519', 'ada');
    evesKey = fixture.makeSshKey('ed25519', 'eve');
    adasGpg = fixture.makeGpgKey('Ada <ada@example.com>');
    ada = {
      publisher: 'team-ada',
      sshKeys: [adasKey.line],
      openpgpKeys: [fixture.exportGpgKey(adasGpg)],
      emails: ['Ada@Example.com', 'ada@work.example'],
    };
  });
  afterAll(() => fixture[Symbol.dispose]());

  async function sourceOf(
    id: string,
    {
      identities = [ada],
      allowedSigners = null,
    }: { identities?: readonly KnownIdentity[]; allowedSigners?: string | null } = {},
  ): Promise<SourcePredicate> {
    const signers = await parseSigners({ allowedSigners, openpgpKeys: [], identities });
    return describeSource(parseCommit(fixture.readCommit(id)), { signers, nowMs: NOW_MS });
  }

  it('names the publisher whose SSH key signed, and all facts of the commit, as canonical JSON', async () => {
    const env = { GIT_AUTHOR_DATE: '1750000000 +0200', GIT_COMMITTER_DATE: '1750000001 -0330' };
    const id = fixture.commit('signed', adasKey, env);
    const source = await sourceOf(id);
    expect(source).toMatchObject({
      commit: id,
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
      tree: fixture.git('rev-parse', `${id}^{tree}`),
      treeSha256: null,
      parents: [],
      author: { name: 'Ada', email: 'ada@example.com', time: '2025-06-15T15:06:40.000Z', zone: '+0200' },
      committer: { name: 'Ada', email: 'ada@example.com', time: '2025-06-15T15:06:41.000Z', zone: '-0330' },
      time: '2025-06-15T15:06:41.000Z',
      signature: { status: 'verified', format: 'ssh', principal: 'Ada@Example.com' },
      publisher: 'team-ada',
    });
    expect(JSON.parse(canonicalJson(source))).toEqual(source);
  });

  it('names the publisher whose OpenPGP key signed', async () => {
    const source = await sourceOf(fixture.commit('signed', adasGpg));
    expect(source).toMatchObject({ publisher: 'team-ada', signature: { format: 'openpgp', key: adasGpg } });
  });

  it('names no publisher for an e-mail address alone', async () => {
    const source = await sourceOf(fixture.commit('unsigned'));
    expect(source).toMatchObject({ signature: { status: 'unsigned' }, publisher: null });
    expect(source.publisherReason).toContain('anyone can write');
  });

  it('names no publisher for its address with the key of another', async () => {
    const id = fixture.commit('signed', evesKey);
    expect(await sourceOf(id)).toMatchObject({ signature: { status: 'unknown-key' }, publisher: null });
    const listed = await sourceOf(id, { allowedSigners: `ada@example.com ${evesKey.line}` });
    expect(listed).toMatchObject({ signature: { status: 'verified' }, publisher: null });
    expect(listed.publisherReason).toContain('no known publisher');
  });

  it('names no publisher for its key with the address of another', async () => {
    for (const key of [adasKey, adasGpg]) {
      const source = await sourceOf(fixture.commit('signed', key, EVE));
      expect(source).toMatchObject({ signature: { status: 'verified' }, publisher: null });
      expect(source.publisherReason).toContain('does not use the address');
    }
  });

  it('does not let an identity undo what the list of allowed signers says of its key', async () => {
    const id = fixture.commit('signed', adasKey);
    const expired = `ada@example.com valid-before="20200101" ${adasKey.line}`;
    expect(await sourceOf(id, { allowedSigners: expired })).toMatchObject({
      signature: { status: 'bad' },
      publisher: null,
    });
    const elsewhere = await sourceOf(id, { allowedSigners: `ada@work.example ${adasKey.line}` });
    expect(elsewhere).toMatchObject({
      signature: { status: 'verified', principal: 'ada@work.example' },
      publisher: null,
    });
    const byPattern = await sourceOf(id, { allowedSigners: `*@example.com ${adasKey.line}` });
    expect(byPattern).toMatchObject({ signature: { principal: 'ada@example.com' }, publisher: 'team-ada' });
  });

  it('takes the tree of a SHA-256 repository for what it is', async () => {
    using other = new GitFixture('sha256');
    const commit = parseCommit(other.readCommit(other.commit('signed', adasKey)), 'sha256');
    const signers = await parseSigners({ allowedSigners: null, openpgpKeys: [], identities: [ada] });
    const source = await describeSource(commit, { signers, nowMs: NOW_MS });
    expect(source).toMatchObject({ treeSha256: commit.tree, publisher: 'team-ada' });
  });

  it.each<[string, Partial<KnownIdentity>]>([
    ['an address with a pattern', { emails: ['*@example.com'] }],
    ['an address that would be two', { emails: ['a@x,b@x'] }],
    ['no address', { emails: [] }],
    ['too many addresses', { emails: Array.from({ length: 65 }, (_, n) => `a${n}@x.y`) }],
    ['a damaged key', { sshKeys: ['ssh-ed25519 AAAA'] }],
  ])('refuses an identity with %s', async (_, part) => {
    const refused = expect.objectContaining({ code: 'PROVENANCE_SIGNERS', exit: 2 });
    const input = { allowedSigners: null, openpgpKeys: [], identities: [{ ...ada, ...part }] };
    await expect(parseSigners(input)).rejects.toThrow(refused);
  });

  it('refuses a key of two publishers, and more identities than a list has', async () => {
    const refused = expect.objectContaining({ code: 'PROVENANCE_SIGNERS' });
    const both = [ada, { ...ada, publisher: 'eve' }];
    await expect(parseSigners({ allowedSigners: null, openpgpKeys: [], identities: both })).rejects.toThrow(refused);
    const many = Array.from({ length: 20_001 }, () => ada);
    await expect(parseSigners({ allowedSigners: null, openpgpKeys: [], identities: many })).rejects.toThrow(refused);
  });

  it('refuses OpenPGP keys that are damaged, private or too large', async () => {
    const privateKey = fixture.run('gpg', ['--armor', '--export-secret-keys', adasGpg]).toString();
    const refused = expect.objectContaining({ code: 'PROVENANCE_OPENPGP', exit: 2 });
    for (const key of ['', 'x', '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n', privateKey, 'x'.repeat(2 ** 21)]) {
      const input = { allowedSigners: null, openpgpKeys: [key], identities: [] };
      await expect(parseSigners(input)).rejects.toThrow(refused);
    }
    const many = Array.from({ length: 1025 }, () => ada.openpgpKeys[0] ?? '');
    await expect(parseSigners({ allowedSigners: null, openpgpKeys: many, identities: [] })).rejects.toThrow(refused);
  });
});
